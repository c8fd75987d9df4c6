import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from tflite_bench.convert import convert
from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model, resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import sized


def run(tflite: bytes, values: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=tflite)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()
    interpreter.set_tensor(source["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(result["index"])


def test_instances_answer_alike_and_share_their_constants(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    layer = max(sized(graph, {}), key=lambda layer: layer.macs)
    alone, thrice = one_layer_model(graph, layer), one_layer_model(graph, layer, instances=3)
    assert len(thrice) < 1.5 * len(alone)
    interpreter = Interpreter(model_content=thrice)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    values = np.random.default_rng(0).normal(size=source["shape"]).astype(np.float32)
    interpreter.set_tensor(source["index"], values)
    interpreter.invoke()
    results = [interpreter.get_tensor(result["index"]) for result in interpreter.get_output_details()]
    assert len(results) == 3
    for result in results:
        np.testing.assert_array_equal(result, run(alone, values))


def all_activations(tflite: bytes, image: np.ndarray) -> dict[int, np.ndarray]:
    """What every tensor of the whole network holds, by index, from the plain kernels, which keep them all."""
    interpreter = Interpreter(model_content=tflite, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return {d["index"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_tensor_details() if d["name"]}


@pytest.mark.parametrize("which", ["mobilenet", "cnn"])
def test_every_layer_cut_out_answers_as_it_does_in_the_network(which, request):
    tflite = request.getfixturevalue(f"{which}_tflite")
    graph = Graph(tflite)
    shape = graph.shape(graph.inputs[0])
    image = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    activations = all_activations(tflite, image)
    for layer in sized(graph, {}):
        source, result = layer.operator.inputs[0], layer.operator.outputs[0]
        answer = run(one_layer_model(graph, layer), activations[source])
        assert np.ptp(answer) > 1e-3, f"{layer.operator.kind} answers the same everywhere: the test would see nothing"
        np.testing.assert_allclose(answer, activations[result], atol=1e-5, err_msg=layer.operator.kind)


def test_resized_layers_have_the_shapes_asked_for(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    for layer in sized(graph, {"conv1": 4, "conv_pw_5": 40, "conv_pw_13": 300}):
        model = Graph(one_layer_model(graph, layer))
        (cut,) = model.operators
        assert cut.kind == layer.operator.kind
        assert tuple(model.shape(i) for i in cut.inputs) == layer.input_shapes
        assert tuple(model.shape(i) for i in cut.outputs) == layer.output_shapes
        values = np.ones(layer.input_shapes[0], np.float32)
        assert run(one_layer_model(graph, layer), values).shape == layer.output_shapes[0]


def test_resized_constants_are_the_first_values_and_then_come_round_again(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    kernel = graph.constant(graph.operators[2].inputs[1])
    assert kernel is not None
    for filters in (12, 20):
        model = Graph(one_layer_model(graph, sized(graph, {"conv_pw_1": filters})[2]))
        resized = model.constant(model.operators[0].inputs[1])
        assert resized is not None
        np.testing.assert_array_equal(resized, np.concatenate([kernel, kernel])[:filters])


def test_unchanged_network_answers_as_before(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    image = np.random.default_rng(2).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(
        run(resized_model(graph, sized(graph, {})), image), run(mobilenet_tflite, image), atol=1e-5
    )


@pytest.mark.slow
def test_edited_network_is_what_the_converter_makes(mobilenet, mobilenet_tflite):
    channels = find_channels(mobilenet)
    generator = np.random.default_rng(3)
    kept = {name: np.arange(generator.integers(1, filters + 1)) for name, filters in channels.widths.items()}
    converted = Graph(convert(narrow(mobilenet, channels, kept)))
    graph = Graph(mobilenet_tflite)
    edited = Graph(resized_model(graph, sized(graph, {name: len(indices) for name, indices in kept.items()})))
    assert [layer_signature(edited, layer) for layer in sized(edited, {})] == [
        layer_signature(converted, layer) for layer in sized(converted, {})
    ]


def test_constants_stand_at_sixteen_bytes(mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    model = one_layer_model(graph, sized(graph, {})[2])
    kernel = graph.constant(graph.operators[2].inputs[1])
    assert kernel is not None
    assert model.index(kernel.tobytes()) % 16 == 0
