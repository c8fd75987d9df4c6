import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from netadapt_tf.training.task import (
    ACCURACY,
    TEMPERATURE,
    Metric,
    classification,
    ends_in_softmax,
    softened_cross_entropy,
)


def test_softmax_is_recognised(cnn):
    assert ends_in_softmax(cnn)
    images = layers.Input((4,))
    assert not ends_in_softmax(tf_keras.Model(images, layers.Dense(2)(images)))
    assert ends_in_softmax(tf_keras.Model(images, layers.Softmax()(layers.Dense(2)(images))))
    assert ends_in_softmax(tf_keras.Model(images, tf.nn.softmax(layers.Dense(2)(images))))
    maps = layers.Input((1, 1, 4))
    assert ends_in_softmax(tf_keras.Model(maps, layers.Flatten()(layers.Conv2D(2, 1, activation="softmax")(maps))))
    assert not ends_in_softmax(tf_keras.Model(maps, layers.Flatten()(layers.Conv2D(2, 1)(maps))))


def test_loss_takes_probabilities_and_logits_as_the_network_gives_them(cnn):
    images = layers.Input((4,))
    logits = tf_keras.Model(images, layers.Dense(2)(images))
    for network in (cnn, logits):
        loss = classification(network).loss
        assert isinstance(loss, tf_keras.losses.SparseCategoricalCrossentropy)
        assert loss.get_config()["from_logits"] == (network is logits)
    assert classification(cnn).metric is ACCURACY


@pytest.mark.parametrize("are_logits", [True, False])
def test_imitation_is_the_cross_entropy_of_softened_answers(are_logits):
    answers, outputs = np.random.default_rng(1).normal(size=(2, 3, 4))
    soft = -(softmax(answers / TEMPERATURE) * np.log(softmax(outputs / TEMPERATURE))).sum(axis=-1)
    taught, own = (answers, outputs) if are_logits else (softmax(answers), softmax(outputs))
    np.testing.assert_allclose(softened_cross_entropy(taught, own, are_logits), TEMPERATURE**2 * soft, rtol=1e-5)


def test_a_network_is_imitated_as_it_gives_its_scores(cnn):
    images = layers.Input((4,))
    logits = tf_keras.Model(images, layers.Dense(2)(images))
    answers, outputs = np.array([[0.1, 0.9]], np.float32), np.array([[0.6, 0.4]], np.float32)
    for network in (cnn, logits):
        imitation = classification(network).imitation
        assert imitation is not None
        wanted = softened_cross_entropy(answers, outputs, network is logits)
        np.testing.assert_allclose(imitation(answers, outputs), wanted)


def test_certain_answers_are_no_reason_for_numbers_that_are_none():
    certain, wrong = tf.constant([[1.0, 0.0]]), tf.Variable([[0.0, 1.0]])
    with tf.GradientTape() as tape:
        loss = softened_cross_entropy(certain, wrong, are_logits=False)
    assert np.all(np.isfinite(loss))
    assert np.all(np.isfinite(tape.gradient(loss, wrong)))


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values)
    return powers / powers.sum(axis=-1, keepdims=True)


def test_a_score_is_larger_where_the_value_is_better():
    error = Metric("error", tf_keras.metrics.MeanSquaredError, larger_is_better=False)
    assert error.score(0.1) > error.score(0.2)
    assert ACCURACY.score(0.2) > ACCURACY.score(0.1)
    assert error.score(error.score(0.3)) == 0.3


@pytest.mark.parametrize("larger_is_better", [True, False])
def test_no_value_is_worse_than_any(larger_is_better):
    metric = Metric("m", tf_keras.metrics.Mean, larger_is_better)
    assert metric.score(math.nan) == -math.inf
    assert metric.score(math.nan) < min(metric.score(value) for value in (-1e9, 1e9))
