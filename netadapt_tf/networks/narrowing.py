"""The narrower copy of a network: some filters kept, with their weights, and no trace of the others."""

from collections.abc import Mapping, Sequence

import numpy as np
import tf_keras
from tf_keras import layers

from netadapt_tf.networks.channel_groups import ChannelGroup, Widths

Kept = Mapping[str, np.ndarray]
"""By channel group, the indices of the filters that stay, ascending."""

WeightAxes = Mapping[str, Sequence[Mapping[int, str]]]
"""By layer, for each of its weights in Keras' order: the channel group that an axis counts."""


def weight_axes(network: tf_keras.Model, groups: Sequence[ChannelGroup]) -> WeightAxes:
    """Which axes of which weights belong to which channel group; layers that belong to none are left out."""
    axes = {layer.name: [dict[int, str]() for _ in layer.weights] for layer in network.layers}
    for group in groups:
        for name in group.writers:
            for weight, of_weight in zip(network.get_layer(name).weights, axes[name], strict=True):
                of_weight[len(weight.shape) - 1] = group.name  # kernel [..., in, filters], bias [filters]
        for name in group.per_channel:
            layer = network.get_layer(name)
            for weight, of_weight in zip(layer.weights, axes[name], strict=True):
                # depthwise kernel [kh, kw, channels, 1]; everything else [channels]
                of_weight[2 if len(weight.shape) == 4 else 0] = group.name
        for name in group.readers:
            kernel = network.get_layer(name).weights[0]
            axes[name][0][len(kernel.shape) - 2] = group.name  # kernel [..., in, filters]
    return {name: of_layer for name, of_layer in axes.items() if any(of_layer)}


def narrow(network: tf_keras.Model, groups: Sequence[ChannelGroup], kept: Kept) -> tf_keras.Model:
    """Builds the network anew with only the kept filters, their weights copied.

    Args:
        network: a functional model; it is not changed.
        groups: its channel groups.
        kept: filters that stay; groups not named keep all of theirs.

    Returns:
        A new model of the same layer names.
    """
    by_name = {group.name: group for group in groups}
    config = network.get_config()
    described = {layer["config"]["name"]: layer["config"] for layer in config["layers"]}
    for name, indices in kept.items():
        for writer in by_name[name].writers:
            described[writer]["units" if "units" in described[writer] else "filters"] = len(indices)
        for through in by_name[name].per_channel:
            if isinstance(network.get_layer(through), layers.Reshape):
                leading = described[through]["target_shape"][:-1]
                described[through]["target_shape"] = (*leading, len(indices))
    narrower = tf_keras.Model.from_config(config)
    axes = weight_axes(network, groups)
    for layer in network.layers:
        values = layer.get_weights()
        if values:
            of_layer = axes.get(layer.name, [{}] * len(values))
            narrower.get_layer(layer.name).set_weights(
                [_taken(value, of_weight, kept) for value, of_weight in zip(values, of_layer, strict=True)]
            )
    return narrower


def fresh_copy(network: tf_keras.Model, seed: int) -> tf_keras.Model:
    """The same network with the weights that its initialisers draw by seed."""
    tf_keras.utils.set_random_seed(seed)
    return tf_keras.Model.from_config(network.get_config())


def _taken(value: np.ndarray, axes: Mapping[int, str], kept: Kept) -> np.ndarray:
    for axis, group in axes.items():
        if group in kept:
            value = np.take(value, kept[group], axis)
    return value


def parameter_count(network: tf_keras.Model, groups: Sequence[ChannelGroup], widths: Widths) -> int:
    """Number of weights, batch-norm statistics included, that the network has at other widths.

    A pure function of shapes; nothing is built.
    """
    axes = weight_axes(network, groups)
    total = 0
    for layer in network.layers:
        of_layer = axes.get(layer.name, [{}] * len(layer.weights))
        for weight, of_weight in zip(layer.weights, of_layer, strict=True):
            sizes = [widths.get(of_weight.get(axis, ""), size) for axis, size in enumerate(weight.shape)]
            total += int(np.prod(sizes))
    return total
