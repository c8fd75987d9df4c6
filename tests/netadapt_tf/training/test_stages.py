import numpy as np
import pytest

from netadapt_tf.training.images import image_set
from netadapt_tf.training.stages import Recipe, accuracy, tflite_accuracy, train
from tests.tiny_networks import tiny_cnn


def test_the_tflite_file_is_as_accurate_as_the_network_it_was_made_of(cnn_tflite):
    generator = np.random.default_rng(0)
    images = image_set(generator.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8), np.arange(50) % 4, 4)
    assert tflite_accuracy(cnn_tflite, images, "tf") == pytest.approx(accuracy(tiny_cnn(), images, "tf"))


def test_training_in_epochs_learns(cnn):
    labels = np.arange(64) % 4
    images = image_set((labels[:, None, None, None] * 60 + np.zeros((1, 8, 8, 3))).astype(np.uint8), labels, 4)
    train(cnn, images, Recipe(16, "tf", 0), epochs=40, learning_rate=0.05, what="")
    assert accuracy(cnn, images, "tf") > 0.7
