"""Long stages of training on several machines.

The chief runs the adaptation. Its followers wait until it begins a long stage, train the same network on their parts of
the same batches, and wait again.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf
from absl import logging

from netadapt_tf.training.assignments import assign, next_assignment
from netadapt_tf.training.cluster import Cluster
from netadapt_tf.training.datasets import Datasets, steps_per_epoch
from netadapt_tf.training.stages import PRE_TRAINING, train_epochs
from netadapt_tf.training.task import Task
from tflite_bench.errors import UserError

_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)
"""What TensorFlow raises in the middle of a sum over machines when one of them goes away."""


def follow(strategy: tf.distribute.Strategy, cluster: Cluster, task: Task, datasets: Datasets) -> int:
    """Trains along until the chief is done.

    Args:
        strategy: of all machines.
        cluster: the machines.
        task: the loss and the metric, as the chief has them.
        datasets: as the chief has them.

    Returns:
        How many stages were trained.

    Raises:
        UserError: the chief has other data, or goes away.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing of a follower's is lost, and TensorFlow waits in C++
    stages = 0
    try:
        while assignment := next_assignment(strategy):
            stage = assignment.stage
            dataset = datasets.train if stage["stage"] == PRE_TRAINING else datasets.long_term
            if (own := steps_per_epoch(dataset)) != stage["steps_per_epoch"]:
                raise UserError(
                    f"an epoch of the chief, {cluster.chief}, has {stage['steps_per_epoch']} batches, and one here "
                    f"{own}; the same command, with the same data, is needed on every machine"
                )
            train_epochs(assignment.built(), task, dataset, stage, assignment.begin, strategy=strategy)
            stages += 1
    except _LOST as error:
        logging.debug("%s", error)
        raise UserError(
            f"the chief, {cluster.chief}, or another machine went away; the same commands go on from its last finished "
            "epoch"
        ) from error
    return stages


@contextmanager
def led(strategy: tf.distribute.Strategy, cluster: Cluster) -> Iterator[None]:
    """What the chief does; its followers end with it.

    Raises:
        UserError: a follower goes away.
    """
    try:
        yield
    except UserError:
        assign(strategy, None)
        raise
    except _LOST as error:
        logging.debug("%s", error)
        raise UserError(
            f"one of the machines {', '.join(cluster.addresses[1:])} went away; the same commands go on from the last "
            "finished epoch"
        ) from error
    assign(strategy, None)
