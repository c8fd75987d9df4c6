import pytest

from tflite_bench.errors import InvalidModelError, UnsupportedLayerError
from tflite_bench.graph import Graph
from tflite_bench.sizing import sized


def test_operators_and_macs_of_mobilenet(mobilenet_tflite):
    layers = sized(Graph(mobilenet_tflite), {})
    kinds = [layer.operator.kind for layer in layers]
    assert kinds[:27] == ["CONV_2D", *["DEPTHWISE_CONV_2D", "CONV_2D"] * 13]
    assert kinds[27:] == ["MEAN", "CONV_2D", "RESHAPE", "SOFTMAX"]
    assert layers[0].macs == 32 * 32 * 8 * 3 * 3 * 3
    assert layers[1].macs == 32 * 32 * 8 * 3 * 3
    assert layers[2].macs == 32 * 32 * 16 * 8
    assert layers[28].macs == 256 * 10


def test_filters_reach_every_layer_that_counts_them(mobilenet_tflite):
    layers = sized(Graph(mobilenet_tflite), {"conv_pw_1": 12})
    writer, depthwise, reader = layers[2:5]
    assert writer.input_shapes == ((1, 32, 32, 8), (12, 1, 1, 8), (12,))
    assert depthwise.input_shapes == ((1, 32, 32, 12), (1, 3, 3, 12), (12,))
    assert depthwise.output_shapes == ((1, 16, 16, 12),)
    assert reader.input_shapes == ((1, 16, 16, 12), (32, 1, 1, 12), (32,))
    assert reader.output_shapes == ((1, 16, 16, 32),)


def test_last_group_reaches_through_pooling(mobilenet_tflite):
    mean, classifier = sized(Graph(mobilenet_tflite), {"conv_pw_13": 200})[27:29]
    assert mean.output_shapes == ((1, 1, 1, 200),)
    assert classifier.input_shapes[1] == (10, 1, 1, 200)


def test_unknown_layer_is_named(mobilenet_tflite):
    with pytest.raises(UnsupportedLayerError, match="conv_pw_99"):
        sized(Graph(mobilenet_tflite), {"conv_pw_99": 8})


def test_names_are_those_of_layers_not_of_networks_or_steps(mobilenet, mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    assert graph.writers_named("conv_pw_1") == {2}
    for name in (mobilenet.name, "Conv2D", "conv_dw_1", "conv_pw", ""):
        assert not graph.writers_named(name), name


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b"not a model at all", lambda b: b[: len(b) // 2]])
def test_damaged_file_is_refused(mobilenet_tflite, damage):
    with pytest.raises(InvalidModelError):
        Graph(damage(mobilenet_tflite))
