"""What the scores of filters are computed from, read off a network: kernels, batch norms, gradients."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import ChannelGroup, Channels, Role
from netadapt_tf.search.filter_choice import l2_norms, random_scores, scale_norms, taylor_norms
from netadapt_tf.training.datasets import Shuffled, batch_spec, endless
from netadapt_tf.training.task import Loss
from netadapt_tf.training.trainer import traced
from tflite_bench.errors import UserError

TAYLOR_BATCHES = 8
"""How many batches the effects are estimated on."""

Scores = Callable[[ChannelGroup], np.ndarray]
"""The scores of a group's filters, float64 [filters]."""


def check_criterion(criterion: str, network: tf_keras.Model, channels: Channels) -> None:
    """Sees that the filters of every group that can shrink can be scored.

    Raises:
        UserError: a batch norm is missing.
    """
    if criterion != "bn_scale":
        return
    for writer in _free_writers(channels):
        _scale(network, channels, writer)


def scores(
    criterion: str,
    network: tf_keras.Model,
    channels: Channels,
    dataset: tf.data.Dataset | Shuffled,
    loss: Loss,
    seed: Callable[[str], int],
) -> Scores:
    """How the filters of a network are scored.

    Args:
        criterion: one of `filter_choice.CRITERIA`.
        network: whose filters they are.
        channels: of the network.
        dataset: batches (float32 [B, H, W, C], targets [B, ...]), for `taylor`, which takes the first few.
        loss: whose change `taylor` estimates.
        seed: by channel group, for `random`; of no group, for the order of the data set.
    """
    if criterion == "random":
        return lambda group: random_scores(group.filters, seed(group.name))
    if criterion == "bn_scale":
        return lambda group: scale_norms([_scale(network, channels, writer) for writer in group.writers])
    if criterion == "taylor":
        effects = _effects(network, channels, dataset, loss, seed(""))
        return lambda group: taylor_norms([effects[writer] for writer in group.writers])
    if criterion == "l2":
        return l2_scores(network, channels)
    raise ValueError(f"filters cannot be scored by {criterion}")


def l2_scores(network: tf_keras.Model, channels: Channels) -> Scores:
    """The norms of a network's filters."""

    def score(group: ChannelGroup) -> np.ndarray:
        kernels = [_kernel(network, channels, writer) for writer in group.writers]
        return l2_norms([_filters_last(kernel, axis).numpy() for kernel, axis in kernels])

    return score


def _kernel(network: tf_keras.Model, channels: Channels, writer: str) -> tuple[tf.Variable, int]:
    """The kernel of a layer that writes channels, and the axis that counts its filters."""
    for weight, where in zip(network.get_layer(writer).weights, channels.weights[writer], strict=True):
        for number, axis in where.axes.items():
            if axis.role is Role.WRITES:
                return weight, number
    raise ValueError(f"{writer} writes no channels")


def _filters_last(kernel: tf.Tensor, axis: int) -> tf.Tensor:
    rank = len(kernel.shape)
    return tf.transpose(kernel, [*(number for number in range(rank) if number != axis), axis])


def _scale(network: tf_keras.Model, channels: Channels, writer: str) -> np.ndarray:
    """What the batch norm behind a layer multiplies by, float [filters].

    Raises:
        UserError: there is none, or it does not.
    """
    normaliser = _normaliser(network, channels, writer)
    gamma = None if normaliser is None else network.get_layer(normaliser).gamma
    if gamma is None:
        raise UserError(
            "filters=bn_scale needs every layer that writes channels to be read by a batch norm with a scale and by "
            f"nothing else; {writer} is not: choose another criterion, or lock={writer}"
        )
    return gamma.numpy()


def _effects(
    network: tf_keras.Model, channels: Channels, dataset: tf.data.Dataset | Shuffled, loss: Loss, seed: int
) -> Mapping[str, np.ndarray]:
    """By writer, what `taylor_norms` needs, float32 [batches, filters]."""
    gates = {writer: _gates(network, channels, writer) for writer in _free_writers(channels)}
    gated = tf_keras.Model(network.inputs, [gates, network.output])

    def effects(images: tf.Tensor, targets: Any) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            written, outputs = gated(images, training=False)
            value = tf.reduce_mean(loss(targets, outputs))
        gradients = tape.gradient(value, written, unconnected_gradients="zero")
        return {writer: _summed(written[writer], gradients[writer]) for writer in written}

    effects_of = traced(effects, batch_spec(dataset))
    found = [
        effects_of(images, targets) for images, targets in itertools.islice(endless(dataset, seed), TAYLOR_BATCHES)
    ]
    return {writer: np.stack([effect[writer].numpy() for effect in found]) for writer in gates}


def _summed(written: list[tf.Tensor], gradients: list[tf.Tensor]) -> tf.Tensor:
    """Gradients times values, summed over all but the channels: float32 [filters]."""
    products = [
        tf.cast(value, tf.float32) * tf.cast(gradient, tf.float32)
        for value, gradient in zip(written, gradients, strict=True)
    ]
    return tf.add_n([tf.reduce_sum(product, axis=list(range(len(product.shape) - 1))) for product in products])


def _gates(network: tf_keras.Model, channels: Channels, writer: str) -> list[Any]:
    """The tensors [B, ..., filters] that hold what a layer writes, behind its batch norm where that alone reads it."""
    written = _written(network, writer)
    normaliser = _normaliser(network, channels, writer)
    if normaliser is None:
        return written
    return [tensor for node in _readers(network, written) for tensor in tf.nest.flatten(node.outputs)]


def _normaliser(network: tf_keras.Model, channels: Channels, writer: str) -> str | None:
    """The batch norm that is applied to what a layer writes, if nothing else reads that."""
    readers = {node.layer.name for node in _readers(network, _written(network, writer))}
    normaliser = channels.normalisers.get(writer)
    return normaliser if readers == {normaliser} else None


def _written(network: tf_keras.Model, layer: str) -> list[Any]:
    """What a layer computes: a tensor each time that it is applied."""
    return [tensor for node in _nodes(network) if node.layer.name == layer for tensor in tf.nest.flatten(node.outputs)]


def _readers(network: tf_keras.Model, tensors: list[Any]) -> list[Any]:
    """The applications of layers that read any of these tensors."""
    read = {id(tensor) for tensor in tensors}
    return [node for node in _nodes(network) if read & {id(tensor) for tensor in node.keras_inputs}]


def _nodes(network: tf_keras.Model) -> Iterator[Any]:
    """The applications of a network's layers."""
    return itertools.chain.from_iterable(network._nodes_by_depth.values())


def _free_writers(channels: Channels) -> Iterator[str]:
    """The layers that write channels that can be removed."""
    return (writer for group in channels.groups if group.lock is None for writer in group.writers)
