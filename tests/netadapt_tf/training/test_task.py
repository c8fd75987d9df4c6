import math

import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from netadapt_tf.training.task import ACCURACY, Metric, classification, ends_in_softmax


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
