"""The long stages of training, pre-training and long-term fine-tune, and the metric as it is reported."""

from typing import Any

import tensorflow as tf
import tf_keras
from absl import logging

from netadapt_tf.training.checkpoint import Checkpoint, Finished, Stage, digest_of
from netadapt_tf.training.datasets import Shuffled, batch_spec, epoch_seed, epochs_from, steps_per_epoch
from netadapt_tf.training.replicas import copied
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
    checkpoint: Checkpoint | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> None:
    """Trains in place for whole epochs, the learning rate falling along half a cosine.

    What an epoch does follows from what the last one came to, from the seed and from the epoch's number, so that a
    stage that goes on from a checkpoint ends as one that was never interrupted.

    Args:
        network: to be trained.
        task: the loss and the metric.
        dataset: seen once an epoch. Where it is no function of a seed, and goes on from a checkpoint, its first epochs
            are read and not used, so that the next one is what it would have been.
        seed: of shuffling, and of dropout and other random layers.
        epochs: how many.
        learning_rate: at the first step.
        what: names the progress bar.
        checkpoint: where every finished epoch is kept, and what training goes on from; discarding it is the caller's.
        strategy: over whose replicas every batch is split; a copy of the network is trained in its scope, and its
            weights are handed back at the end. By default the network itself is trained, and on one device.
    """
    per_epoch = steps_per_epoch(dataset)
    steps = epochs * per_epoch
    spread = strategy or tf.distribute.get_strategy()
    with spread.scope():
        trainee = copied(network) if strategy else network
        trainer = Trainer(trainee, task, batch_spec(dataset), stage_steps=steps, strategy=strategy)
    stage: Stage = {
        "stage": what,
        "began_from": digest_of(network.get_weights()),
        "seed": seed,
        "epochs": epochs,
        "steps_per_epoch": per_epoch,
        "learning_rate": learning_rate,
        "replicas": spread.num_replicas_in_sync,
    }
    first = 0
    if checkpoint and (finished := checkpoint.finished(stage)):
        trainer.resume(finished.state)
        first = finished.epochs
        logging.info("Going on after epoch %d of %d.", first, epochs)
    rates = cosine(learning_rate, steps)
    batches = epochs_from(dataset, seed, first)
    with progress(what, steps if what else 0) as bar:
        bar.update(first * per_epoch)
        for number in range(first, epochs):
            reseed(trainee, epoch_seed(seed, number))
            trainer.fit(next(batches), per_epoch, rates, begin=number * per_epoch, update=bar.update)
            if checkpoint:
                checkpoint.keep(stage, Finished(number + 1, trainer.state()))
            if strategy:  # as after an interruption: every replica goes on from the mean of all batch norm statistics
                trainer.resume(trainer.state())
    if trainee is not network:
        network.set_weights(trainee.get_weights())


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
