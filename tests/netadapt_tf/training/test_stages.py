import numpy as np
import pytest
import tf_keras

from netadapt_tf.training.images import batches, image_set, shuffled_batches
from netadapt_tf.training.stages import evaluate, evaluate_tflite, train
from netadapt_tf.training.task import ACCURACY, Metric, classification
from tests.tiny_networks import tiny_cnn


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


def test_training_with_dropout_does_not_depend_on_what_keras_made_before(noise):
    def trained() -> list[np.ndarray]:
        network = tiny_cnn(dropout=0.5)
        train(network, classification(network), noise, seed=3, epochs=1, learning_rate=0.05, what="")
        return network.get_weights()

    first = trained()
    tiny_cnn(dropout=0.5)
    for one, two in zip(first, trained(), strict=True):
        np.testing.assert_array_equal(one, two)
