"""Which layers are measured in one for a delegate, and that the delegate does fuse them."""

import numpy as np
import pytest
import tf_keras

from tests.fake_meter import FakeMeter
from tests.tiny_networks import randomised
from tflite_bench.convert import convert
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph
from tflite_bench.joining import joined
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.meters import Meters
from tflite_bench.reference import almost_empty_model
from tflite_bench.runtime import all_outputs
from tflite_bench.sizing import SizedOperator, sized
from tflite_bench.table_filling import Caches, fill
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Reading

SIZE = 64


def fusible() -> tf_keras.Model:
    """Convolutions with an addition, an activation of its own, and a padding that the converter leaves."""
    layers = tf_keras.layers
    x = images = layers.Input((SIZE, SIZE, 8))
    x = layers.Conv2D(8, 1, name="first")(x)
    x = layers.Add()([images, x])
    x = layers.Conv2D(8, 1, name="second")(x)
    x = layers.Activation("tanh")(x)
    x = layers.ZeroPadding2D(((1, 2), (3, 1)))(x)
    x = layers.Conv2D(8, 3, name="third")(x)
    x = layers.Activation("hard_sigmoid")(x)
    return randomised(tf_keras.Model(images, layers.GlobalAveragePooling2D()(x)))


def every_kind() -> tf_keras.Model:
    """Layers with weights of every kind, each with what may be fused with it; two branches that are added up."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 4))
    x = layers.ZeroPadding2D(((1, 2), (3, 1)))(images)
    x = layers.Activation("tanh")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    x = layers.Add()([layers.Conv2D(4, 1, name=name)(x) for name in ("earlier", "later")])
    x = layers.Activation("tanh")(layers.Conv2DTranspose(4, 2, strides=2, name="transposed")(x))
    x = layers.Dense(4, name="dense")(layers.GlobalAveragePooling2D()(x))
    return randomised(tf_keras.Model(images, layers.Activation("tanh")(x)))


def apart() -> tf_keras.Model:
    """Results that are read twice, or are the network's, stay alone; so does what is added at another shape.

    So do an activation and a pooling, which have no weights.
    """
    layers = tf_keras.layers
    images = layers.Input((8, 8, 4))
    pooled = layers.MaxPooling2D(1)(layers.Activation("sigmoid")(images))
    twice = layers.Conv2D(4, 1, name="twice")(layers.Activation("tanh")(pooled))
    both = layers.Concatenate()([layers.Activation("tanh")(twice), twice])
    gate = layers.Conv2D(8, 1, name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(both))
    scaled = layers.Multiply()([both, gate])
    out = layers.Conv2D(4, 1, name="out")(scaled)
    return randomised(tf_keras.Model(images, [out, layers.Activation("tanh")(out)]))


@pytest.fixture(scope="module")
def graph(repeatable) -> Graph:
    return Graph(convert(fusible()))


@pytest.fixture(scope="module")
def layers(graph) -> list[SizedOperator]:
    return joined(graph, sized(graph, {}))


def test_what_may_be_fused_is_joined_in_order(graph, layers):
    assert [layer.kinds for layer in layers] == [
        "CONV_2D + ADD",
        "CONV_2D + TANH",
        "PAD + CONV_2D + MINIMUM + RELU",
        "MEAN",
    ]
    parts = [part for layer in layers for part in layer.parts]
    assert parts == sized(graph, {})
    assert sum(layer.macs for layer in layers) == sum(part.macs for part in parts)


def test_all_layers_with_weights_are_joined_with_what_is_done_to_them(repeatable):
    graph = Graph(convert(every_kind()))
    assert [layer.kinds for layer in joined(graph, sized(graph, {}))] == [
        "PAD + DEPTHWISE_CONV_2D + TANH",
        "CONV_2D",
        "CONV_2D + ADD",
        "TRANSPOSE_CONV + TANH",
        "MEAN",
        "FULLY_CONNECTED + TANH",
    ]


def test_weights_in_float16_change_nothing(layers):
    graph = Graph(convert(fusible(), "float16"))
    assert [layer.kinds for layer in joined(graph, sized(graph, {}))] == [layer.kinds for layer in layers]


def test_what_others_read_too_is_not_joined(repeatable):
    graph = Graph(convert(apart()))
    kinds = [layer.kinds for layer in joined(graph, sized(graph, {}))]
    assert [kind for kind in kinds if "+" in kind] == []
    assert kinds.count("TANH") == 3


def test_the_same_is_joined_at_other_widths(graph, layers):
    narrow = joined(graph, sized(graph, {"second": 4}))
    assert [layer.kinds for layer in narrow] == [layer.kinds for layer in layers]
    assert narrow[1].result_shapes == ((1, SIZE, SIZE, 4),)
    assert narrow[2].result_shapes == layers[2].result_shapes == ((1, SIZE + 1, SIZE + 2, 8),)
    assert layer_signature(graph, narrow[2]) != layer_signature(graph, layers[2])


def test_a_signature_tells_all_parts(graph, layers):
    signature = layer_signature(graph, layers[1])
    assert [part.split()[0] for part in signature.split(" + ")] == ["CONV_2D", "TANH"]
    assert len({layer_signature(graph, layer) for layer in layers}) == len(layers)


@pytest.mark.parametrize("instances", [1, 3])
def test_a_joined_model_computes_what_its_parts_compute(graph, layers, instances):
    image = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 8)).astype(np.float32)
    one, *others = all_outputs(one_layer_model(graph, layers[1], instances), image)
    expected = image
    for part in layers[1].parts:
        [expected] = all_outputs(one_layer_model(graph, part), expected)
    np.testing.assert_allclose(one, expected, atol=1e-6)
    assert len(others) == instances - 1
    for other in others:
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("weight_bytes", "most_output_bytes", "instances"),
    [(1024, 1 << 20, 5), (1 << 20, 10 * 9 * 10 * 4 * 4, 10)],
)
def test_the_weights_of_all_parts_and_the_outputs_of_the_last_say_how_often_a_layer_stands_in_its_model(
    repeatable, tmp_path, monkeypatch, weight_bytes, most_output_bytes, instances
):
    monkeypatch.setattr("tflite_bench.table_filling._MAX_OUTPUT_BYTES", most_output_bytes)
    graph, caches, meter = Graph(convert(every_kind())), Caches(weight_bytes), FakeMeter(delegated=True)
    padded = joined(graph, sized(graph, {}))[0]  # 32 bytes of paddings, 144 of weights, 16 of biases
    table = LatencyTable(tmp_path / "table", Context("host/gpu", {}, str(caches), "median"))
    fill(table, meter, graph, {layer_signature(graph, padded): padded}, caches)
    for job in meter.jobs:
        kinds = [operator.kind for operator in Graph(job.tflite).operators]
        assert kinds == ["PAD", "DEPTHWISE_CONV_2D", "TANH"] * instances


def test_the_delegate_fuses_what_is_joined(software_gpu, graph, layers):
    """Together they take clearly less than one by one: an activation, an addition, a padding next to nothing."""
    with Meters() as meters:
        meter = meters.of(parse_target("host/gpu"))

        def reading_ms(model: bytes, is_layer: bool = True) -> float:
            [(_, answer)] = meter.time_all([Job(model, loads=2, is_layer=is_layer)])
            assert not isinstance(answer, MeasurementError), answer
            assert isinstance(answer, Reading)
            return answer.latency_ms

        call_ms = min(reading_ms(almost_empty_model(True), is_layer=False) for _ in range(3))
        for layer in layers[:3]:
            together_ms: list[float] = []
            apart_ms: list[float] = []
            while len(apart_ms) < 3 or (min(together_ms) >= 0.9 * min(apart_ms) and len(apart_ms) < 10):
                together_ms.append(reading_ms(one_layer_model(graph, layer)) - call_ms)
                alone = [reading_ms(one_layer_model(graph, part)) for part in layer.parts]
                apart_ms.append(sum(alone) - call_ms * len(alone))
            assert min(together_ms) < 0.9 * min(apart_ms), layer.kinds  # other work only ever adds
