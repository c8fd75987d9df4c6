"""The long stages of training, pre-training and long-term fine-tune, and the metric as it is reported."""

from typing import Any

import tensorflow as tf
import tf_keras

from netadapt_tf.training.datasets import Shuffled, batch_spec, endless, steps_per_epoch
from netadapt_tf.training.task import Metric, Task
from netadapt_tf.training.trainer import Trainer, cosine, reseed
from tflite_bench import runtime
from tflite_bench.progress import progress


def train(
    network: tf_keras.Model,
    task: Task,
    dataset: tf.data.Dataset | Shuffled,
    seed: int,
    epochs: int,
    learning_rate: float,
    what: str,
) -> None:
    """Trains in place for whole epochs, the learning rate falling along half a cosine.

    Args:
        network: to be trained.
        task: the loss and the metric.
        dataset: seen once an epoch.
        seed: of shuffling, and of dropout and other random layers.
        epochs: how many.
        learning_rate: at the first step.
        what: names the progress bar.
    """
    reseed(network, seed)
    steps = epochs * steps_per_epoch(dataset)
    trainer = Trainer(network, task, batch_spec(dataset), stage_steps=steps)
    trainer.fit(endless(dataset, seed), steps, cosine(learning_rate, steps), what)


def evaluate(network: tf_keras.Model, task: Task, dataset: tf.data.Dataset) -> float:
    """The metric over one pass."""
    return Trainer(network, task, batch_spec(dataset)).evaluate(dataset)


def evaluate_tflite(tflite: bytes, metric: Metric, dataset: tf.data.Dataset, structure: Any = None) -> float:
    """The metric of a `.tflite`, run by the TensorFlow Lite runtime, over one pass.

    Args:
        tflite: the file.
        metric: is given what the Keras network would answer.
        dataset: of (images float32 [B, H, W, C], targets).
        structure: of the network's outputs, a list or a dictionary; None where it has one.
    """
    state = metric.make()
    with progress("testing the .tflite", steps_per_epoch(dataset, "test")) as bar:
        for images, targets in dataset:
            answers = runtime.all_outputs(tflite, images.numpy())
            state.update_state(targets, tf.nest.pack_sequence_as(structure, answers))
            bar.update()
    return float(state.result())
