"""One-layer models made in two ways: cut out of the converted network, and built in Keras and converted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tf_keras

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.settings import Settings
from tflite_bench.convert import convert
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import SizedOperator

layers = tf_keras.layers

_CONVERTIBLE = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class Making:
    """What it took to make one layer's model.

    Attributes:
        signature: of the layer.
        edited_s: seconds, by editing the flatbuffer.
        converted_s: seconds, by Keras and the converter.
    """

    signature: str
    edited_s: float
    converted_s: float


def making_times(network: tf_keras.Model, count: int, seed: int) -> list[Making]:
    """Makes convolutions of random widths in both ways, one after the other.

    Args:
        network: the starting network.
        count: how many layers.
        seed: of the widths.

    Raises:
        AssertionError: the two ways do not make the same layer.
    """
    channels = find_channels(network)
    deployed = DeployedNetwork(convert(network), channels.groups)
    generator = np.random.default_rng(seed)
    return [_made_in_both_ways(deployed, channels.widths, generator) for _ in range(count)]


def _made_in_both_ways(deployed: DeployedNetwork, start: Widths, generator: np.random.Generator) -> Making:
    widths = random_widths(start, generator)
    positions = [n for n, layer in enumerate(deployed.layers(start)) if layer.operator.kind in _CONVERTIBLE]
    position = int(generator.choice(positions))
    own = layer_signature(deployed.graph, deployed.layers(widths)[position])
    begin = time.perf_counter()
    layer = deployed.layers(widths)[position]
    one_layer_model(deployed.graph, layer)
    cut = time.perf_counter()
    converted = convert(_built(layer, "RELU6" in own))
    end = time.perf_counter()
    (theirs,) = DeployedNetwork(converted, ()).signatures({})
    assert own == theirs, f"{own} is not {theirs}"
    return Making(own, cut - begin, end - cut)


def random_widths(start: Widths, generator: np.random.Generator) -> dict[str, int]:
    """Widths that a search may choose."""
    multiple = Settings().filter_multiple
    return {
        name: int(generator.choice([*candidate_filters(filters, filters, multiple), filters]))
        for name, filters in start.items()
    }


def _built(layer: SizedOperator, is_activated: bool) -> tf_keras.Model:
    (_, *source), (_, *result), weights = layer.input_shapes[0], layer.output_shapes[0], layer.input_shapes[1]
    size, strides = weights[1:3], -(-source[0] // result[0])
    activation = layers.ReLU(6.0) if is_activated else None
    settings = {"strides": strides, "padding": "same", "activation": activation, "bias_initializer": "random_normal"}
    if layer.operator.kind == "CONV_2D":
        built = layers.Conv2D(result[-1], size, **settings)
    else:
        built = layers.DepthwiseConv2D(size, **settings)
    images = layers.Input(source)
    return tf_keras.Model(images, built(images))


def summary(made: Sequence[Making]) -> str:
    """Both ways side by side, and their ratio."""
    ratios = [one.converted_s / one.edited_s for one in made]
    edited, converted = (np.median([getattr(one, name) for one in made]) for name in ("edited_s", "converted_s"))
    return (
        f"{len(made)} one-layer models, median: {1000 * edited:.1f} ms by editing, {1000 * converted:.0f} ms by the "
        f"converter; converter / editing {np.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
    )
