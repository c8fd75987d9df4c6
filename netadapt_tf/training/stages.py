"""The long stages of training, pre-training, mid-term and long-term fine-tune, and the metric as it is reported."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras
from absl import logging

from netadapt_tf.training.assignments import Assignment, assign, noticed_losses
from netadapt_tf.training.checkpoint import Checkpoint, Finished, Stage, digest_of
from netadapt_tf.training.datasets import Shuffled, batch_spec, epoch_seed, epochs_from, steps_per_epoch
from netadapt_tf.training.replicas import copied, has_followers
from netadapt_tf.training.task import Metric, Task
from netadapt_tf.training.teacher import Teacher
from netadapt_tf.training.trainer import Trainer, TrainingState, cosine, reseed
from tflite_bench import runtime
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

PRE_TRAINING = "pre-training"


class DivergenceError(UserError):
    """A loss or a weight is no finite number."""


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
    teacher: Teacher | None = None,
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
        teacher: whose answers are learned besides the targets; the task has an imitation then.

    Raises:
        DivergenceError: the epochs before stay in the checkpoint.
    """
    stage: dict[str, Any] = {
        "stage": what,
        "began_from": digest_of(network.get_weights()),
        "seed": seed,
        "epochs": epochs,
        "steps_per_epoch": steps_per_epoch(dataset),
        "learning_rate": learning_rate,
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
    }
    if teacher:
        stage |= {"distillation": teacher.share, "teacher": digest_of(teacher.network.get_weights())}
    begin = checkpoint.finished(stage) if checkpoint else None
    if begin:
        logging.info("Going on after epoch %d of %d.", begin.epochs, epochs)
    keep = partial(checkpoint.keep, stage) if checkpoint else None
    with progress(what, epochs * stage["steps_per_epoch"] if what else 0) as bar:
        if strategy is None or not has_followers(strategy):
            train_epochs(network, task, dataset, stage, begin, keep, bar.update, strategy, teacher)
            return
        with noticed_losses():
            seen_first = first_batch(dataset, seed)
            assign(strategy, Assignment(stage, seen_first, network.to_json(), begin or _unfinished(network), teacher))
            train_epochs(network, task, dataset, stage, begin, keep, bar.update, strategy, teacher)


def train_epochs(
    network: tf_keras.Model,
    task: Task,
    dataset: tf.data.Dataset | Shuffled,
    stage: Stage,
    begin: Finished | None = None,
    keep: Callable[[Finished], None] | None = None,
    update: Callable[[int], object] = lambda steps: None,
    strategy: tf.distribute.Strategy | None = None,
    teacher: Teacher | None = None,
) -> None:
    """The epochs of a stage that are still to be trained; see `train`.

    Args:
        network: to be trained.
        task: the loss and the metric.
        dataset: seen once an epoch.
        stage: what was asked for.
        begin: what is finished of it.
        keep: is given what every epoch came to.
        update: is told how many steps are done.
        strategy: see `train`.
        teacher: see `train`.

    Raises:
        DivergenceError: the epochs before were kept.
    """
    per_epoch, epochs = stage["steps_per_epoch"], stage["epochs"]
    with strategy.scope() if strategy else nullcontext():
        trainee = copied(network) if strategy else network
        trainer = Trainer(
            trainee,
            task,
            batch_spec(dataset),
            stage_steps=epochs * per_epoch,
            strategy=strategy,
            teacher=teacher.copied() if teacher and strategy else teacher,
        )
    first = 0
    if begin and begin.epochs:
        trainer.resume(begin.state)
        first = begin.epochs
    rates = cosine(stage["learning_rate"], epochs * per_epoch)
    batches = epochs_from(dataset, stage["seed"], first)
    update(first * per_epoch)
    for number in range(first, epochs):
        reseed(trainee, epoch_seed(stage["seed"], number))
        loss = trainer.fit(next(batches), per_epoch, rates, begin=number * per_epoch, update=partial(update, 1))
        state = trainer.state()
        if not (math.isfinite(loss) and state.is_finite()):
            raise DivergenceError(
                f"{stage['stage']} diverges: in epoch {number + 1} of {epochs} the loss, {loss:g}, or a weight is no "
                f"finite number; its learning rate begins at {stage['learning_rate']:g}, with a lower one it may not"
            )
        if keep:
            keep(Finished(number + 1, state))
        if strategy:  # as after an interruption: every replica goes on from the mean of all batch norm statistics
            trainer.resume(state)
    if trainee is not network:
        network.set_weights(trainee.get_weights())


def first_batch(dataset: tf.data.Dataset | Shuffled, seed: int) -> str:
    """A digest of what the first epoch of a stage begins with."""
    return digest_of([part.numpy() for part in tf.nest.flatten(next(next(epochs_from(dataset, seed, 0))))])


def _unfinished(network: tf_keras.Model) -> Finished:
    return Finished(0, TrainingState(network.get_weights(), momentums=[], draws=[]))


def evaluate(network: tf_keras.Model, task: Task, dataset: tf.data.Dataset) -> float:
    """The metric over one pass."""
    return Trainer(network, task, batch_spec(dataset)).evaluate(dataset).metric


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
