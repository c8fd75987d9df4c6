"""Networks cut on paper against what the converter makes of networks that were built narrower."""

import functools

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from netadapt_tf.networks.random_weights import randomise
from tests.tflite_bench.networks_by_widths import BY_WIDTHS, called_again, gates, refusing, upwards
from tflite_bench.convert import convert
from tflite_bench.errors import UnsupportedLayerError
from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model, resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.shape_rules import Resizing, resized
from tflite_bench.sizing import sized

FAST = (gates, upwards)
"""With what most networks hold; each network takes seconds to convert."""

every_network = pytest.mark.parametrize(
    "build",
    [pytest.param(build, id=build.__name__, marks=() if build in FAST else pytest.mark.slow) for build in BY_WIDTHS],
)


@functools.cache
def converted(build, is_narrow: bool) -> Graph:
    network = build(BY_WIDTHS[build][is_narrow])
    randomise(network)
    return Graph(convert(network))


def signatures(graph: Graph, filters=None) -> list[str]:
    return [layer_signature(graph, layer) for layer in sized(graph, filters or {})]


def output_shapes(tflite: bytes) -> list[tuple[int, ...]]:
    """Of a model that runs on any numbers."""
    interpreter = Interpreter(model_content=tflite)
    interpreter.allocate_tensors()
    for source in interpreter.get_input_details():
        values = np.random.default_rng(0).uniform(size=source["shape"])
        interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(result["index"]).shape for result in interpreter.get_output_details()]


@every_network
def test_cut_on_paper_is_what_the_converter_makes_of_the_narrower_network(build):
    graph, narrower = converted(build, False), converted(build, True)
    assert signatures(graph, BY_WIDTHS[build][True]) == signatures(narrower)


@every_network
def test_own_widths_change_nothing(build):
    graph = converted(build, False)
    assert signatures(graph, BY_WIDTHS[build][False]) == signatures(graph)


@every_network
def test_cut_networks_run(build):
    graph, filters = converted(build, False), BY_WIDTHS[build][True]
    layers = sized(graph, filters)
    cut = resized_model(graph, layers)
    narrower = converted(build, True)
    assert output_shapes(cut) == [narrower.shape(index) for index in narrower.outputs]
    assert signatures(Graph(cut)) == signatures(graph, filters)


@every_network
def test_cut_layers_run(build):
    graph = converted(build, False)
    for layer in sized(graph, BY_WIDTHS[build][True]):
        model = one_layer_model(graph, layer)
        assert tuple(output_shapes(model)) == layer.output_shapes, layer.operator.kind
        assert signatures(Graph(model)) == [layer_signature(graph, layer)]


@every_network
def test_macs_are_those_of_the_narrower_network(build):
    cut, narrower = (
        sum(layer.macs for layer in sized(converted(build, is_narrow), filters))
        for is_narrow, filters in ((False, BY_WIDTHS[build][True]), (True, {}))
    )
    assert cut == narrower > 0


@pytest.mark.slow
def test_one_layer_has_one_number_of_filters():
    graph = converted(called_again, False)
    assert signatures(graph, {"inner_conv": 4, "nested/inner_conv": 4}) == signatures(graph, {"inner_conv": 4})
    with pytest.raises(UnsupportedLayerError, match="would have both 4 and 5 filters"):
        sized(graph, {"inner_conv": 4, "nested/inner_conv": 5})


@pytest.mark.slow
def test_names_that_hold_others_are_told_apart():
    graph = converted(called_again, False)
    found = {name: graph.writers_named(name) for name in BY_WIDTHS[called_again][False]}
    assert {name: len(indices) for name, indices in found.items()} == {
        **{"conv": 3, "a/conv": 1, "b/conv": 1},
        **{"inner_conv": 2, "nested": 2, "a": 1},
    }
    assert len(set.union(*map(set, found.values()))) == 10


@pytest.fixture(scope="module")
def hopeless() -> Graph:
    network = refusing()
    randomise(network)
    return Graph(convert(network))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("softmax", "SOFTMAX.*depends on all of them"),
        ("transpose", "TRANSPOSE.*moves them"),
        ("local_response", "LOCAL_RESPONSE_NORMALIZATION.*depends on all"),
        ("gather", "GATHER.*moves them"),
        ("before_groups", "CONV_2D.*grouped"),
        ("grouped", "CONV_2D.*grouped|no layer named grouped"),  # TensorFlow 2.20 keeps its name to itself
        ("mean", "MEAN.*one number of all"),
        ("sliced", "SLICE.*some of them only"),
        ("strided", "STRIDED_SLICE.*some of them only"),
        ("cut", "SLICE.*some of them only"),
        ("space_to_depth", "SPACE_TO_DEPTH.*moves them"),
        ("depth_to_space", "DEPTH_TO_SPACE.*moves them"),
        ("matmul", "BATCH_MATMUL.*depends on all"),
        ("split", "RESHAPE.*splits them"),
        ("padded", "PAD.*beside them"),
        ("left", "ADD.*would join 6 and 8"),
        ("upper", "CONCATENATION.*would join 6 and 8"),
        ("as_places", "do not stand on the last axis"),
        ("l2", "depends on all|one number of all"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_reason(hopeless, name, reason):
    with pytest.raises(UnsupportedLayerError, match=reason):
        sized(hopeless, {name: 6})


def test_what_no_changed_shape_reaches_is_not_refused(hopeless):
    assert output_shapes(resized_model(hopeless, sized(hopeless, {"left": 6, "right": 6})))


def test_a_fully_connected_layer_may_read_maps_as_one_row():
    maps = Resizing(
        name="layer 0",
        kind="FULLY_CONNECTED",
        own_inputs=((1, 2, 3, 8), (5, 48), (5,)),
        inputs=((1, 2, 3, 4), (5, 48), (5,)),
        own_output=(1, 5),
        filters=None,
        options=None,
        is_constant=(False, True, True),
        constant=lambda _: None,
    )
    assert resized(maps) == (((1, 2, 3, 4), (5, 24), (5,)), (1, 5))
