"""A training step on several devices at once: each has a replica of the network and sees its part of every batch."""

import copy
import functools
import signal
from typing import Any

import tensorflow as tf
import tf_keras
from absl import logging

from netadapt_tf.training.cluster import cluster
from netadapt_tf.training.strategy_names import MULTI_WORKER, NONE
from netadapt_tf.training.task import Loss
from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import UserError


def strategy_of(name: str) -> tf.distribute.Strategy | None:
    """How the long stages are spread over devices.

    Args:
        name: `none`: not at all. `mirrored`: over all GPUs of this machine; over its logical CPUs where it has no GPU.
            `multi_worker`: over those of all machines of the cluster, which `join_cluster` has joined.

    Raises:
        UserError: no cluster was joined.
    """
    if name == NONE:
        return None
    if name == MULTI_WORKER:
        return _multi_worker()
    devices = _devices()
    if len(devices) == 1:
        logging.warning("The strategy %s finds one device, %s, which trains alone.", name, devices[0])
    return _mirrored(devices)


def join_cluster() -> None:
    """Waits for the other machines; to be called before TensorFlow is first used.

    Raises:
        UserError: the environment names no cluster; one of its machines does not come.
    """
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)  # TensorFlow waits in C++, where Python's would not be heard
    try:
        _multi_worker()
    finally:
        signal.signal(signal.SIGINT, handler)


def replica_count(name: str) -> int:
    """Over how many devices that is, which changes results, see `docs/scaling.md`.

    Raises:
        UserError: the environment names no cluster.
    """
    if name == NONE:
        return 1
    if name == MULTI_WORKER:  # all machines have as many as this one, says TensorFlow, too
        return len(cluster().addresses) * max(1, len(tf.config.list_physical_devices("GPU")))
    return len(_devices())


def has_followers(strategy: tf.distribute.Strategy | None) -> bool:
    """Whether other machines train along."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def copied(network: tf_keras.Model) -> tf_keras.Model:
    """The same network with the same weights; in the scope of a strategy, with a replica on each device."""
    twin = tf_keras.Model.from_config(network.get_config())
    twin.set_weights(network.get_weights())
    return twin


def own_part(images: tf.Tensor, targets: Any) -> tuple[tf.Tensor, Any, tf.Tensor | float]:
    """What the replica that asks sees of a batch: neighbours, as many as every other sees, or one more or less.

    A replica that a small batch leaves nothing for sees all of it, which counts for nothing but in its own batch norm
    statistics.

    Args:
        images: float32 [B, H, W, C].
        targets: [B, ...].

    Returns:
        images [b, H, W, C], targets [b, ...] and b / B, which is 1 in all over the replicas: the weight of a mean over
        the part in the mean over the batch.
    """
    context = tf.distribute.get_replica_context()
    count = context.num_replicas_in_sync
    if count == 1:
        return images, targets, 1.0
    size, number = tf.shape(images)[0], tf.cast(context.replica_id_in_sync_group, tf.int32)
    first, end = size * number // count, size * (number + 1) // count
    share = tf.cast(end - first, tf.float32) / tf.cast(size, tf.float32)
    is_empty = tf.equal(first, end)
    part = slice(tf.where(is_empty, 0, first), tf.where(is_empty, size, end))
    return images[part], tf.nest.map_structure(lambda values: values[part], targets), share


def check_averages(loss: Loss) -> None:
    """Sees that the means over parts of a batch, weighed, are the loss of the batch.

    A function that returns one number is taken at its word.

    Raises:
        UserError: the loss is a sum.
    """
    if isinstance(loss, tf_keras.losses.Loss) and loss.reduction == tf_keras.losses.Reduction.SUM:
        raise UserError(f"the loss {loss.name} sums over the batch; for a strategy it should average")


def of_a_part(loss: Loss) -> Loss:
    """The loss as a replica may call it; see `check_averages`."""
    check_averages(loss)
    if not isinstance(loss, tf_keras.losses.Loss):
        return loss
    of_part: Any = copy.copy(loss)
    of_part._allow_sum_over_batch_size = True  # Keras refuses where it cannot know what to divide by; `own_part` does
    return of_part


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One for a process: TensorFlow numbers sums over devices by strategy, and takes those of two for the same."""
    return tf.distribute.MirroredStrategy(list(devices))


@functools.cache
def _multi_worker() -> tf.distribute.Strategy:
    machines = cluster()
    logging.info(
        "Waiting for all %d machines of TF_CONFIG; this is number %d, %s.",
        *(len(machines.addresses), machines.own, machines.addresses[machines.own]),
    )
    try:
        with quiet_native_code():
            return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        if "program startup" not in str(error):
            raise
        raise UserError(
            "multi_worker is for the command netadapt, which joins the other machines when it starts"
        ) from error
    except tf.errors.OpError as error:
        raise UserError(
            f"the machines {', '.join(machines.addresses)} of TF_CONFIG did not find together: {error.message}"
        ) from error


def _devices() -> tuple[str, ...]:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tuple(device.name for device in devices)
