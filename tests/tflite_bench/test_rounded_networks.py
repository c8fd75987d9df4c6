"""Networks of every precision: what the converter makes of them, cut into layers and given other widths."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.mobilenet_v2 import mobilenet_v2, mobilenet_v2_widths
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from tests.sweep import with_sweep
from tests.tiny_networks import randomised, tiny_cnn
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.precision import PRECISIONS
from tflite_bench.sizing import SizedOperator, sized

FEWER_BITS = PRECISIONS[1:]
LARGEST_ERROR = {"float16": 0.003, "dynamic": 0.02, "int8": 0.04}  # of a probability


def images_of(network: tf_keras.Model, count: int = 20) -> np.ndarray:
    """Of another colour each, so that answers differ, too."""
    generator = np.random.default_rng(0)
    shape = (count, *network.input_shape[1:])
    colours = generator.uniform(-1, 1, (count, 1, 1, shape[-1]))
    return (0.8 * colours + 0.2 * generator.uniform(-1, 1, shape)).astype(np.float32)


def large_cnn() -> tf_keras.Model:
    """Weights of more than 1024 numbers, and of fewer once it is narrowed; a dense layer and a sum besides."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="first")(images)
    x = layers.Add()([x, layers.Conv2D(32, 3, padding="same", name="second")(x)])
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same", name="third")(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(48, activation="relu", name="dense")(x)
    return randomised(tf_keras.Model(images, layers.Dense(4, activation="softmax", name="out")(x), name="large_cnn"))


NETWORKS = {"tiny_cnn": tiny_cnn, "large_cnn": large_cnn}


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, repeatable) -> tf_keras.Model:
    return NETWORKS[request.param]()


@pytest.fixture(params=FEWER_BITS)
def precision(request) -> str:
    return request.param


@pytest.fixture
def graph(network, precision) -> Graph:
    return Graph(convert(network, precision, images_of(network)))


def test_inputs_and_weights_are_of_the_precision(network, precision, graph):
    (source,), (result,) = graph.inputs, graph.outputs
    expected = "int8" if precision == "int8" else "float32"
    assert (graph.type_name(source), graph.type_name(result)) == (expected, expected)
    stored = {
        graph.type_name(operator.inputs[1])
        for operator in graph.operators
        if len(operator.inputs) > 1 and graph.is_constant(operator.inputs[1]) and operator.kind.endswith("CONV_2D")
    }
    is_large = network.name == "large_cnn"
    assert (
        stored
        == {
            "float16": {"float16"},
            "dynamic": {"float32", "int8"} if is_large else {"float32"},
            "int8": {"int8"},
        }[precision]
    )


def test_answers_are_nearly_those_of_the_network(network, precision):
    images = images_of(network)
    answers = runtime.outputs(convert(network, precision, images), images)
    assert answers.dtype == np.float32
    errors = np.abs(answers - network(images).numpy())
    assert errors.max() < LARGEST_ERROR[precision]
    assert np.ptp(answers, axis=0).max() > 3 * LARGEST_ERROR[precision], "the test would see nothing"


def narrowed(network: tf_keras.Model, seed: int) -> tuple[tf_keras.Model, dict[str, int]]:
    channels = find_channels(network)
    generator = np.random.default_rng(seed)
    kept = {
        name: np.sort(generator.choice(filters, generator.integers(1, filters + 1), replace=False))
        for name, filters in channels.widths.items()
    }
    return narrow(network, channels, kept), {name: len(indices) for name, indices in kept.items()}


def check_as_the_converter_makes_it(network: tf_keras.Model, precision: str, seed: int) -> None:
    """Operators, shapes, options and number types, and as many scales."""
    images = images_of(network)
    deployed = DeployedNetwork(convert(network, precision, images), find_channels(network).groups)
    assert not deployed.locks
    narrower, widths = narrowed(network, seed)
    edited, converted = Graph(deployed.resized(widths)), Graph(convert(narrower, precision, images))
    assert deployed.signatures(widths) == signatures(edited) == signatures(converted)
    for own, theirs in zip(edited.operators, converted.operators, strict=True):
        assert scales(edited, own.inputs + own.outputs) == scales(converted, theirs.inputs + theirs.outputs), own.kind
    runtime.outputs(deployed.resized(widths), images)


def signatures(graph: Graph) -> list[str]:
    return [layer_signature(graph, layer) for layer in sized(graph, {})]


def scales(graph: Graph, tensors: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """By tensor, how many scales and zero points it has, and along which axis."""
    of = [graph.tensor(index).quantization for index in tensors if index >= 0 and graph.is_scaled(index)]
    return [(len(q.scale), len(q.zeroPoint), q.quantizedDimension if len(q.scale) > 1 else 0) for q in of]


@pytest.mark.parametrize("seed", [0, 1])
def test_at_other_widths_it_is_what_the_converter_makes(network, precision, seed):
    check_as_the_converter_makes_it(network, precision, seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "precision"),
    with_sweep(
        [(which, precision) for precision in FEWER_BITS for which in ("mobilenet", "mobilenet_v2")],
        [("mobilenet", "float16"), ("mobilenet", "int8")],
    ),
)
def test_so_are_mobilenets(which, precision, request):
    network = (
        request.getfixturevalue("mobilenet")
        if which == "mobilenet"
        else randomised(mobilenet_v2(mobilenet_v2_widths(0.35), 64, 10))
    )
    check_as_the_converter_makes_it(network, precision, 0)


def alone(graph: Graph, layer: SizedOperator) -> runtime.Interpreter:
    interpreter = runtime.interpreter(one_layer_model(graph, layer), 1)
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    return interpreter


def test_every_layer_runs_alone_at_other_widths(network, precision):
    deployed = DeployedNetwork(convert(network, precision, images_of(network)), find_channels(network).groups)
    _, widths = narrowed(network, 2)
    for layer in deployed.layers(widths):
        alone(deployed.graph, layer)


def test_int8_layers_run_on_the_delegates_quantised_kernels(network):
    graph = Graph(convert(network, "int8", images_of(network)))
    for layer in sized(graph, {}):
        if layer.operator.kind != "SOFTMAX":  # which XNNPACK leaves to the runtime
            kinds = {detail["op_name"] for detail in alone(graph, layer)._get_ops_details()}
            assert "DELEGATE" in kinds, layer_signature(graph, layer)


def test_float16_weights_are_unpacked_once(network):
    """The operators that unpack them are no layers: a table would add up what never runs."""
    graph = Graph(convert(network, "float16"))
    assert "DEQUANTIZE" not in {operator.kind for operator in graph.operators}
    assert signatures(graph) == [
        text.replace("float32*", "float16*") for text in signatures(Graph(convert(network, "float32")))
    ]


def test_few_weights_of_dynamic_range_stay_float32():
    graph = Graph(convert(large_cnn(), "dynamic"))
    wide, small = (layer_signature(graph, sized(graph, {"second": n, "first": n})[1]) for n in (32, 8))
    assert "int8*[32,3,3,32]" in wide
    assert "float32*[8,3,3,8]" in small


def ending_in(operator: Callable) -> tf_keras.Model:
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = operator(layers.Conv2D(8, 1, name="first")(images))
    return tf_keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)), name="odd")


def test_what_int8_cannot_compute_is_named_and_not_left_in_float32():
    network = ending_in(tf.math.sin)
    with pytest.raises(UserError, match=r"^odd cannot be computed in int8: SIN \(odd/.*sin.*\) has no integer form.*"):
        convert(network, "int8", images_of(network))
    convert(network, "float16")


def test_what_cannot_be_converted_at_all_is_said_in_one_line():
    network = ending_in(lambda x: tf.math.igamma(x, x))
    with pytest.raises(UserError) as error:
        convert(network, "int8", images_of(network))
    text = str(error.value)
    assert text.startswith("TensorFlow Lite's converter refuses odd in precision int8: ")
    assert "tf.Igamma" in text
    assert "\n" not in text
    assert len(text) < 200


@pytest.mark.parametrize("count", [0, 15])
def test_too_few_images_do_not_calibrate(count, network):
    with pytest.raises(UserError, match=f"there are {count}"):
        convert(network, "int8", images_of(network)[:count])
