import gc
import logging

import numpy as np
import pytest
import tf_keras
from tensorflow.__internal__ import FuncGraph
from tf_keras import layers

from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.training.trainer import constant, cosine, followed_momentum
from tests.tiny_networks import TINY_CNN_CLASSES, tiny_cnn
from tests.tiny_training import classifier_trainer


@pytest.fixture
def batch():
    generator = np.random.default_rng(0)
    labels = np.arange(64) % TINY_CNN_CLASSES
    images = generator.normal(size=(64, 8, 8, 3)).astype(np.float32) * 0.1
    images += labels[:, None, None, None].astype(np.float32) - 1.5
    return images, labels


def test_training_learns(cnn, batch):
    trainer = classifier_trainer(cnn)
    before = trainer.evaluate([batch]).metric
    first = trainer.fit([batch], 1, constant(0.0))
    last = trainer.fit([batch] * 150, 150, constant(0.05))
    assert last < 0.7 * first
    assert trainer.evaluate([batch]).metric > before + 0.2


def test_few_calls_of_many_networks_are_not_warned_of(batch, caplog):
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    for _ in range(6):
        trainer = classifier_trainer(tiny_cnn())
        trainer.fit([batch], 1, constant(0.1))
        trainer.evaluate([batch])
    logger.removeHandler(caplog.handler)
    assert not [record for record in caplog.records if "retracing" in record.getMessage()]


def test_accuracy_and_loss_are_means_over_uneven_batches(cnn, batch):
    images, labels = batch
    answers = np.asarray(cnn(images))
    evaluation = classifier_trainer(cnn).evaluate([(images[:40], labels[:40]), (images[40:], labels[40:])])
    assert evaluation.metric == pytest.approx(np.mean(answers.argmax(-1) == labels))
    expected = tf_keras.losses.SparseCategoricalCrossentropy()(labels, answers)
    assert evaluation.loss == pytest.approx(float(expected), rel=1e-5)


def test_restart_forgets_weights_masks_and_momentum(cnn, batch):
    trainer = classifier_trainer(cnn, find_channels(cnn))
    start = cnn.get_weights()

    def fine_tune(kept):
        trainer.restart(start, kept, seed=0)
        trainer.fit([batch] * 5, 5, constant(0.1))
        return cnn.get_weights()

    first = fine_tune({"first": np.array([0, 1])})
    fine_tune({"second": np.array([3])})
    for a, b in zip(first, fine_tune({"first": np.array([0, 1])}), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_trainer_that_is_gone_leaves_no_graph_behind(cnn, batch):
    def graphs() -> int:
        gc.collect()
        return sum(isinstance(one, FuncGraph) for one in gc.get_objects())

    before = graphs()
    trainer = classifier_trainer(cnn)
    trainer.fit([batch], 1, constant(0.1))
    trainer.evaluate([batch])
    assert graphs() > before
    del trainer
    assert graphs() == before


def test_dropout_depends_on_the_seed_and_not_on_what_was_trained_before(batch):
    images = layers.Input((8, 8, 3))
    x = layers.Dropout(0.5)(layers.Flatten()(images))
    network = tf_keras.Model(images, layers.Dense(TINY_CNN_CLASSES, activation="softmax")(x))
    trainer, start = classifier_trainer(network), network.get_weights()

    def fine_tune(seed):
        trainer.restart(start, {}, seed)
        trainer.fit([batch] * 3, 3, constant(0.1))
        return network.get_weights()[0]

    first = fine_tune(1)
    assert np.abs(fine_tune(2) - first).max() > 1e-4
    np.testing.assert_allclose(fine_tune(1), first, atol=1e-6)


def test_batch_norm_follows_within_a_short_stage_and_the_network_stays_as_configured(cnn, batch):
    images, labels = batch
    shifted = (images + 3.0, labels)
    inputs_mean = {}
    start = cnn.get_weights()
    for stage_steps in (None, 20):
        trainer = classifier_trainer(cnn, stage_steps=stage_steps)
        trainer.restart(start, {}, seed=0)
        trainer.fit([shifted] * 20, 20, constant(0.0))
        inputs_mean[stage_steps] = cnn.get_layer("first_bn").moving_mean.numpy()
    truth = np.asarray(tf_keras.Model(cnn.inputs, cnn.get_layer("first").output)(shifted[0])).mean((0, 1, 2))
    old_error, new_error = (np.abs(inputs_mean[steps] - truth).max() for steps in (None, 20))
    assert new_error < 0.25 * old_error
    assert cnn.get_layer("first_bn").momentum == 0.99


def test_statistics_follow_over_the_end_of_a_stage():
    followed = {steps: 1 / (1 - followed_momentum(steps)) for steps in (10, 20, 50, 1000, 20000)}
    assert followed == pytest.approx({10: 5, 20: 10, 50: 10, 1000: 100, 20000: 2000})
    assert followed_momentum(0) == followed_momentum(1) == followed_momentum(2) == 0.0


def test_learning_rates():
    assert constant(0.1)(7) == 0.1
    rates = [cosine(0.2, 10)(step) for step in range(10)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[5] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.01
