"""The networks of `tf_keras.applications`, converted: every layer is found by its name, and all can be cut at once."""

import collections

import numpy as np
import pytest
import tf_keras
from ai_edge_litert.interpreter import Interpreter

from benchmarks.applications import APPLICATIONS
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from tests.sweep import with_sweep
from tflite_bench.convert import convert
from tflite_bench.graph import Graph
from tflite_bench.layer_models import resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.shape_rules import WRITERS
from tflite_bench.sizing import sized

layers = tf_keras.layers

CLASSES = 10
CONVERTED_TWICE = ("MobileNetV3Small",)
"""Compared with the converter's own result; the rest with the shapes that Keras gives, which takes half the time."""


def application(name: str) -> tf_keras.Model:
    side = 75 if name == "Xception" else 64
    return getattr(tf_keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=CLASSES)


def has_filters(layer: tf_keras.layers.Layer) -> bool:
    kinds = (layers.Conv2D, layers.Dense, layers.SeparableConv2D)
    return isinstance(layer, kinds) and not isinstance(layer, layers.DepthwiseConv2D)


def width(layer: tf_keras.layers.Layer) -> int:
    return layer.units if isinstance(layer, layers.Dense) else layer.filters


def halved(network: tf_keras.Model) -> tf_keras.Model:
    """The same layers, each but the last with half its filters: what is added up has equal numbers as before."""
    last = [layer for layer in network.layers if has_filters(layer)][-1]
    config = network.get_config()
    for entry in config["layers"]:
        if entry["class_name"] == "Reshape":  # gates are shaped [1, 1, C]
            *ones, channels = entry["config"]["target_shape"]
            if ones:
                entry["config"]["target_shape"] = (*ones, channels // 2)
        if entry["config"]["name"] != last.name and has_filters(network.get_layer(entry["config"]["name"])):
            key = "filters" if "filters" in entry["config"] else "units"
            entry["config"][key] //= 2
    return tf_keras.Model.from_config(config)


def output_shape(tflite: bytes) -> tuple[int, ...]:
    interpreter = Interpreter(model_content=tflite)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    interpreter.set_tensor(source["index"], np.ones(source["shape"], np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).shape


@pytest.mark.slow
@pytest.mark.parametrize("name", with_sweep(APPLICATIONS, ("MobileNetV2", "MobileNetV3Small", "VGG16")))
def test_every_layer_is_found_by_its_name_and_all_can_be_cut(name):
    network = application(name)
    randomise(network)
    tflite = convert(network)
    graph = Graph(tflite)
    names = [layer.name for layer in network.layers if has_filters(layer)]
    found = collections.Counter(index for writer in names for index in graph.writers_named(writer))
    assert found == {operator.index: 1 for operator in graph.operators if operator.kind in WRITERS}

    assert not DeployedNetwork(tflite, find_channels(network).groups).locks

    narrower = halved(network)
    filters = {writer: width(narrower.get_layer(writer)) for writer in names}
    cut = sized(graph, filters)
    for writer in names:
        (index,) = graph.writers_named(writer)
        read, written = narrower.get_layer(writer).input_shape[-1], narrower.get_layer(writer).output_shape[1:]
        depth = cut[index].input_shapes[1][-1]
        assert depth == read, writer
        assert cut[index].output_shapes[0][-len(written) :] == written, writer
    assert output_shape(resized_model(graph, cut)) == (1, CLASSES)
    if name in CONVERTED_TWICE:
        randomise(narrower)
        converted = Graph(convert(narrower))
        assert [layer_signature(graph, layer) for layer in cut] == [
            layer_signature(converted, layer) for layer in sized(converted, {})
        ]
