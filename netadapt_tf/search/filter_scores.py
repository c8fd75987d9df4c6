"""What the scores of filters are computed from, read off a network: kernels, batch norms, gradients."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import ChannelGroup, Channels, Role
from netadapt_tf.search.filter_choice import l2_norms, random_scores, scale_norms, taylor_norms
from netadapt_tf.training.task import Loss
from tflite_bench.errors import UserError

TAYLOR_BATCHES = 8

Scores = Callable[[ChannelGroup], np.ndarray]
"""The scores of a group's filters, float64 [filters]."""


def check_criterion(criterion: str, network: tf_keras.Model, channels: Channels) -> None:
    """Sees that the filters of every group that can shrink can be scored.

    Raises:
        UserError: a batch norm is missing.
    """
    if criterion != "bn_scale":
        return
    for group in channels.groups:
        for writer in group.writers if group.lock is None else ():
            if _scale(network, channels, writer) is None:
                raise UserError(
                    f"filters=bn_scale needs a batch norm with a scale right behind every layer that writes channels; "
                    f"{writer} has none: choose l2, or lock={writer}"
                )


def scores(
    criterion: str,
    network: tf_keras.Model,
    channels: Channels,
    batches: Iterable,
    loss: Loss,
    seed: Callable[[str], int],
) -> Scores:
    """How the filters of a network are scored.

    Args:
        criterion: one of `filter_choice.CRITERIA`.
        network: whose filters they are.
        channels: of the network.
        batches: of images and targets, for `taylor`, which takes the first few.
        loss: whose change `taylor` estimates.
        seed: by channel group, for `random`.
    """
    if criterion == "random":
        return lambda group: random_scores(group.filters, seed(group.name))
    if criterion == "bn_scale":
        return lambda group: scale_norms([_scale(network, channels, writer).numpy() for writer in group.writers])
    if criterion == "taylor":
        effects = _effects(network, channels, batches, loss)
        return lambda group: taylor_norms([effects[writer] for writer in group.writers])
    return l2_scores(network, channels)


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


def _scale(network: tf_keras.Model, channels: Channels, writer: str) -> Any:
    """What the batch norm behind a layer multiplies by, if there is one that does."""
    normaliser = channels.normalisers.get(writer)
    return None if normaliser is None else network.get_layer(normaliser).gamma


def _effects(network: tf_keras.Model, channels: Channels, batches: Iterable, loss: Loss) -> Mapping[str, np.ndarray]:
    """By writer, what `taylor_norms` needs, [batches, filters].

    Where a batch norm with scale and offset follows, these are the filter's weights: a scaled kernel would change
    nothing behind it.
    """
    weights: dict[str, Sequence[tuple[tf.Variable, int]]] = {}
    for group in channels.groups:
        for writer in group.writers if group.lock is None else ():
            weights[writer] = _gate(network, channels, writer)

    @tf.function
    def effects(images: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(loss(targets, network(images, training=False)))
        variables = {writer: [variable for variable, _ in gates] for writer, gates in weights.items()}
        gradients = tape.gradient(value, variables, unconnected_gradients="zero")
        return {
            writer: tf.add_n(
                [
                    tf.reduce_sum(tf.reshape(_filters_last(g * v, axis), [-1, v.shape[axis]]), 0)
                    for g, (v, axis) in zip(gradients[writer], gates, strict=True)
                ]
            )
            for writer, gates in weights.items()
        }

    found = [effects(images, targets) for _, (images, targets) in zip(range(TAYLOR_BATCHES), batches)]  # noqa: B905
    return {writer: np.stack([effect[writer].numpy() for effect in found]) for writer in weights}


def _gate(network: tf_keras.Model, channels: Channels, writer: str) -> Sequence[tuple[tf.Variable, int]]:
    """The weights that scale what a filter writes, each with the axis that counts the filters."""
    normaliser = channels.normalisers.get(writer)
    if normaliser is not None:
        layer = network.get_layer(normaliser)
        if layer.gamma is not None:
            return [(variable, 0) for variable in (layer.gamma, layer.beta) if variable is not None]
    layer = network.get_layer(writer)
    return [
        (weight, number)
        for weight, where in zip(layer.weights, channels.weights[writer], strict=True)
        for number, axis in where.axes.items()
        if axis.role is Role.WRITES
    ]


def _filters_last(kernel: tf.Tensor, axis: int) -> tf.Tensor:
    rank = len(kernel.shape)
    return tf.transpose(kernel, [*(number for number in range(rank) if number != axis), axis])
