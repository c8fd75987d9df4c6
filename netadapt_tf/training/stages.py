"""The long stages of training, pre-training and long-term fine-tune, and accuracy as it is reported."""

from dataclasses import dataclass

import numpy as np
import tf_keras

from netadapt_tf.training.images import ImageSet, batches
from netadapt_tf.training.trainer import Trainer, cosine
from tflite_bench import runtime
from tflite_bench.progress import progress

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """What all training of a run has in common.

    Attributes:
        batch_size: images a step.
        preprocessing: range of the network's input, see `images.batches`.
        seed: of shuffling.
    """

    batch_size: int
    preprocessing: str
    seed: int


def train(
    network: tf_keras.Model, images: ImageSet, recipe: Recipe, epochs: int, learning_rate: float, what: str
) -> None:
    """Trains in place for whole epochs, the learning rate falling along half a cosine.

    Args:
        network: to be trained.
        images: seen once an epoch, in a new order each time.
        recipe: batch size, input range, seed.
        epochs: how many.
        learning_rate: at the first step.
        what: names the progress bar.
    """
    steps = max(1, epochs * len(images) // recipe.batch_size)
    stream = batches(images, recipe.batch_size, recipe.preprocessing, recipe.seed)
    Trainer(network).fit(stream, steps, cosine(learning_rate, steps), what)


def accuracy(network: tf_keras.Model, images: ImageSet, preprocessing: str) -> float:
    """Share of images that the network classifies rightly."""
    return Trainer(network).accuracy(batches(images, EVALUATION_BATCH, preprocessing))


def tflite_accuracy(tflite: bytes, images: ImageSet, preprocessing: str) -> float:
    """Share of images that a `.tflite` classifies rightly, run by the TensorFlow Lite runtime."""
    correct = 0
    with progress("testing the .tflite", len(images)) as bar:
        for pixels, labels in batches(images, EVALUATION_BATCH, preprocessing):
            answers = runtime.outputs(tflite, pixels.numpy()).argmax(axis=-1)  # [B]
            correct += int(np.sum(answers == labels.numpy()))
            bar.update(len(labels))
    return correct / len(images)
