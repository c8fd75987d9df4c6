"""What the chief of several machines tells its followers: which network to train along, and how."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging
from tensorflow.python.eager import context

from netadapt_tf.training.checkpoint import Finished, Stage, packed, unpacked
from netadapt_tf.training.cluster import cluster
from netadapt_tf.training.teacher import Teacher
from netadapt_tf.training.trainer import TrainingState
from tflite_bench.errors import UserError

_WORD_BYTES = 4
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)
"""What TensorFlow raises in the middle of a sum over machines when one of them goes away."""

_PATIENCE_MS = 10_000


@dataclass(frozen=True)
class Assignment:
    """A long stage that is about to begin.

    Attributes:
        stage: what it was asked to do.
        first_batch: a digest of what it sees first.
        network: its structure, as JSON.
        begin: where it goes on from; after no epoch, weights only.
        teacher: whose answers are learned besides the targets.
    """

    stage: Stage
    first_batch: str
    network: str
    begin: Finished
    teacher: Teacher | None = None

    def built(self) -> tf_keras.Model:
        """The network with the weights that the stage goes on from."""
        return _built(self.network, self.begin.state.weights)


class LostMachineError(UserError):
    """The machines that train together have lost each other."""


@contextmanager
def noticed_losses() -> Iterator[None]:
    """Inside, machines train together.

    Raises:
        LostMachineError: one of them went away.
        tf.errors.InternalError: all others are there: it is this one that failed.
    """
    try:
        yield
    except _LOST as error:
        if isinstance(error, tf.errors.InternalError) and _all_answer():
            raise
        logging.debug("%s", error)
        raise LostMachineError(
            f"the machines have lost each other ({type(error).__name__}); the same commands go on from the last "
            "finished epoch"
        ) from error


def _all_answer() -> bool:
    """Whether every machine of the cluster can be reached."""
    try:
        for number in range(len(cluster().addresses)):
            context.context().check_collective_ops_peer_health(f"/job:worker/replica:0/task:{number}", _PATIENCE_MS)
    except tf.errors.OpError:
        return False
    return True


def assign(strategy: tf.distribute.Strategy, assignment: Assignment) -> None:
    """Told by the chief, to all followers at once."""
    about = {
        "stage": dict(assignment.stage),
        "first_batch": assignment.first_batch,
        "network": assignment.network,
        "finished_epochs": assignment.begin.epochs,
        "is_taught": assignment.teacher is not None,
    }
    _spoken(strategy, packed(about, assignment.begin.state))
    if assignment.teacher:
        network = assignment.teacher.network
        about_teacher = {"network": network.to_json(), "share": assignment.teacher.share}
        _spoken(strategy, packed(about_teacher, TrainingState(network.get_weights(), momentums=[], draws=[])))


def dismiss(strategy: tf.distribute.Strategy) -> None:
    """Tells the followers that nothing more is to come; one that is gone already does not matter."""
    try:
        _spoken(strategy, b"")
    except tf.errors.OpError as error:
        logging.debug("%s", error)
        logging.warning("A machine went away before the end.")


def next_assignment(strategy: tf.distribute.Strategy) -> Assignment | None:
    """What the chief tells next, in a follower, which waits for it; None: nothing more is to come."""
    content = _spoken(strategy)
    if not content:
        return None
    about, state = unpacked(content)
    begin = Finished(about["finished_epochs"], state)
    teacher = _told_teacher(strategy) if about["is_taught"] else None
    return Assignment(about["stage"], about["first_batch"], about["network"], begin, teacher)


def _told_teacher(strategy: tf.distribute.Strategy) -> Teacher:
    about, state = unpacked(_spoken(strategy))
    return Teacher(_built(about["network"], state.weights), about["share"])


def _built(structure: str, weights: Sequence[np.ndarray]) -> tf_keras.Model:
    network = tf_keras.models.model_from_json(structure)
    network.set_weights(weights)
    return network


def _spoken(strategy: tf.distribute.Strategy, content: bytes = b"") -> bytes:
    """What the chief says, on every machine; a sum to which nobody else adds anything."""
    of_chief = _of_chief(strategy)
    length = int(of_chief(np.array([len(content)], np.int32))[0])
    if not length:
        return b""
    words = np.zeros(-(-length // _WORD_BYTES), np.int32)
    words.view(np.uint8)[: len(content)] = np.frombuffer(content, np.uint8)
    return of_chief(words).numpy().tobytes()[:length]


@functools.cache
def _of_chief(strategy: tf.distribute.Strategy) -> Callable[[np.ndarray], tf.Tensor]:
    """The chief's numbers, on every machine; traced once."""

    def of_replica(own: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        counted = tf.where(context.replica_id_in_sync_group == 0, own, tf.zeros_like(own))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, counted)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def summed(own: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(of_replica, (own,)))[0]

    return summed
