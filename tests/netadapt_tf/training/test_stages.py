from dataclasses import replace

import numpy as np
import pytest
import tf_keras

from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.images import batches, image_set, shuffled_batches
from netadapt_tf.training.stages import PRE_TRAINING, evaluate, evaluate_tflite, train
from netadapt_tf.training.task import ACCURACY, Metric, classification
from netadapt_tf.training.teacher import Teacher
from tests.tiny_networks import tiny_cnn
from tflite_bench.errors import UserError


@pytest.fixture
def noise():
    generator = np.random.default_rng(0)
    images = image_set(generator.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8), np.arange(50) % 4, 4)
    return batches(images, 16, "tf")


def test_the_tflite_file_is_as_accurate_as_the_network_it_was_made_of(cnn_tflite, noise):
    network = tiny_cnn()
    expected = evaluate(network, classification(network), noise)
    assert evaluate_tflite(cnn_tflite, ACCURACY, noise) == pytest.approx(expected)


def test_any_keras_metric_will_do(cnn_tflite, noise):
    network = tiny_cnn()
    loss = Metric("cross-entropy", tf_keras.metrics.SparseCategoricalCrossentropy, larger_is_better=False)
    (truth,) = [tf_keras.losses.SparseCategoricalCrossentropy()(y, network(x)) for x, y in noise.unbatch().batch(50)]
    assert evaluate_tflite(cnn_tflite, loss, noise) == pytest.approx(float(truth), rel=1e-4)


def test_training_in_epochs_learns(cnn):
    labels = np.arange(64) % 4
    images = image_set((labels[:, None, None, None] * 60 + np.zeros((1, 8, 8, 3))).astype(np.uint8), labels, 4)
    task = classification(cnn)
    train(cnn, task, shuffled_batches(images, 16, "tf"), seed=0, epochs=40, learning_rate=0.05, what="")
    assert evaluate(cnn, task, batches(images, 64, "tf")) > 0.7


@pytest.mark.parametrize(("epochs", "learning_rate"), [(2, 1e30), (1, 1e38)])
def test_a_stage_that_diverges_ends_with_the_reason_and_keeps_nothing_of_it(
    cnn, noise, tmp_path, epochs, learning_rate
):
    checkpoint = Checkpoint(tmp_path / "checkpoint.npz", (tmp_path / "checkpoint.npz").write_bytes)
    with pytest.raises(UserError, match=r"pre-training diverges: in epoch 1 of \d the loss, .* lower one it may not"):
        train(cnn, classification(cnn), noise, 0, epochs, learning_rate, PRE_TRAINING, checkpoint)
    assert not checkpoint.path.exists()


def test_a_network_of_slow_batch_norms_is_judged_by_what_it_has_become():
    """MobileNetV2's statistics follow over a thousand steps: after a hundred it answered as if untrained."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, kernel_initializer=tf_keras.initializers.HeNormal(seed=0))(images)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.999)(x))
    x = layers.GlobalAveragePooling2D()(x)
    initial = tf_keras.initializers.HeNormal(seed=1)
    network = tf_keras.Model(images, layers.Dense(4, "softmax", kernel_initializer=initial)(x))
    labels = np.arange(64) % 4
    grey = image_set((labels[:, None, None, None] * 4 + np.full((1, 8, 8, 3), 120)).astype(np.uint8), labels, 4)
    task = classification(network)
    train(network, task, shuffled_batches(grey, 64, "tf"), seed=0, epochs=150, learning_rate=0.1, what="")
    assert evaluate(network, task, batches(grey, 64, "tf")) > 0.9


def test_a_network_comes_nearer_to_its_teacher_which_stays_as_it_is(noise):
    teacher, network = tiny_cnn(), tiny_cnn()
    network.set_weights([weight * 0.5 for weight in network.get_weights()])
    kernel, bias = teacher.get_layer("classifier").get_weights()
    teacher.get_layer("classifier").set_weights([kernel, bias + np.array([0, 3, 0, 0])])
    images = np.concatenate([pixels for pixels, _ in noise])

    def apart(one: tf_keras.Model, other: tf_keras.Model) -> float:
        return float(np.abs(one(images).numpy() - other(images).numpy()).mean())

    kept = teacher.get_weights()
    before = apart(network, teacher)
    alone = tf_keras.models.clone_model(network)
    alone.set_weights(network.get_weights())
    train(alone, classification(alone), noise, 0, 20, 0.05, "")
    train(network, classification(network), noise, 0, 20, 0.05, "", teacher=Teacher(teacher, 0.5))
    assert apart(network, teacher) < 0.5 * before
    assert apart(network, teacher) < 0.5 * apart(alone, teacher)
    for old, new in zip(kept, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_teacher_without_a_share_changes_nothing(noise):
    network, taught = tiny_cnn(), tiny_cnn()
    train(network, classification(network), noise, 0, 2, 0.05, "")
    train(taught, classification(taught), noise, 0, 2, 0.05, "", teacher=Teacher(tiny_cnn(), 0.0))
    for one, other in zip(network.get_weights(), taught.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_training_with_dropout_does_not_depend_on_what_keras_made_before(noise):
    def trained() -> list[np.ndarray]:
        network = tiny_cnn(dropout=0.5)
        train(network, classification(network), noise, seed=3, epochs=1, learning_rate=0.05, what="")
        return network.get_weights()

    first = trained()
    tiny_cnn(dropout=0.5)
    for one, two in zip(first, trained(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_teacher_whose_answers_no_loss_is_about_is_refused(noise):
    task = replace(classification(tiny_cnn()), imitation=None)
    with pytest.raises(ValueError, match="a teacher needs a task with an imitation"):
        train(tiny_cnn(), task, noise, 0, 1, 0.05, "", teacher=Teacher(tiny_cnn(), 0.5))
