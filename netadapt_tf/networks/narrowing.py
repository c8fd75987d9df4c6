"""The narrower copy of a network: some filters kept, with their weights, and no trace of the others."""

import numpy as np
import tf_keras

from netadapt_tf.networks.channel_groups import Channels, Kept, WeightChannels, indices_of, size_of
from netadapt_tf.networks.layer_rules import filters_setting


def narrow(network: tf_keras.Model, channels: Channels, kept: Kept) -> tf_keras.Model:
    """Builds the network anew with only the kept filters, their weights copied.

    Args:
        network: a functional model; it is not changed.
        channels: its channels.
        kept: filters that stay; groups not named keep all of theirs.

    Returns:
        A new model of the same layer names.
    """
    config = network.get_config()
    described = {layer["config"]["name"]: layer["config"] for layer in config["layers"]}
    widths = {name: len(indices) for name, indices in kept.items()}
    for group in channels.groups:
        for writer in group.writers if group.name in kept else ():
            described[writer][filters_setting(network.get_layer(writer))] = widths[group.name]
    for name, layout in channels.spelled_out.items():
        described[name]["target_shape"] = (*described[name]["target_shape"][:-1], size_of(layout, widths))
    narrower = tf_keras.Model.from_config(config)
    for layer in network.layers:
        values = zip(layer.get_weights(), channels.weights.get(layer.name, ()), strict=True)
        narrower.get_layer(layer.name).set_weights([_taken(value, weight, kept) for value, weight in values])
    return narrower


def fresh_copy(network: tf_keras.Model, seed: int) -> tf_keras.Model:
    """The same network with the weights that its initialisers draw by seed."""
    tf_keras.utils.set_random_seed(seed)
    return tf_keras.Model.from_config(network.get_config())


def _taken(value: np.ndarray, weight: WeightChannels, kept: Kept) -> np.ndarray:
    for number, axis in weight.axes.items():
        value = np.take(value, indices_of(axis.layout, kept), number)
    return value
