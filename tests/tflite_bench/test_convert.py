import numpy as np
import pytest
import tf_keras

from netadapt_tf.networks.random_weights import randomise
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.graph import Graph
from tflite_bench.layer_models import resized_model
from tflite_bench.sizing import sized

IMAGES = np.random.default_rng(0).uniform(size=(3, 6, 6, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def several_outputs() -> tf_keras.Model:
    """Twelve outputs and one from the middle of the network: the file lists them in no order that one could guess."""
    layers = tf_keras.layers
    images = layers.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, name="middle")(images)
    pooled = layers.GlobalAveragePooling2D()(x)
    network = tf_keras.Model(images, [*(layers.Dense(units)(pooled) for units in range(12, 0, -1)), x])
    randomise(network)
    return network


@pytest.fixture(scope="module")
def tflite(several_outputs) -> bytes:
    return convert(several_outputs)


def test_several_outputs_come_in_the_networks_order(several_outputs, tflite):
    answers = runtime.all_outputs(tflite, IMAGES)
    for answer, expected in zip(answers, several_outputs(IMAGES), strict=True):
        np.testing.assert_allclose(answer, expected, rtol=1e-4)


def test_outputs_by_name_come_in_the_order_of_the_networks_outputs(several_outputs):
    first, second = several_outputs.outputs[:2]
    network = tf_keras.Model(several_outputs.inputs, {"b": first, "a": second})
    answers = runtime.all_outputs(convert(network), IMAGES)
    for answer, name, output in zip(answers, ("a", "b"), network.outputs, strict=True):
        np.testing.assert_allclose(answer, network(IMAGES)[name], rtol=1e-4)
        assert answer.shape[1:] == output.shape[1:]


def test_answers_are_those_of_the_first_output(several_outputs, tflite):
    answers = runtime.outputs(tflite, IMAGES)
    np.testing.assert_allclose(answers, several_outputs(IMAGES)[0], rtol=1e-4)


def test_a_cut_network_keeps_the_order_of_its_file(tflite):
    graph = Graph(tflite)
    answers = runtime.all_outputs(resized_model(graph, sized(graph, {"middle": 3})), IMAGES)
    assert [answer.shape for answer in answers] == [
        (3, 4, 4, 3) if len(graph.shape(index)) == 4 else (3, graph.shape(index)[-1]) for index in graph.outputs
    ]


def test_the_network_is_traced_once_and_no_layer_of_it_by_itself():
    """Otherwise converting MobileNetV1 takes four times as long."""
    traces = []

    def doubled(x):
        traces.append(x)
        return 2.0 * x

    images = tf_keras.layers.Input((6, 6, 3))
    network = tf_keras.Model(images, tf_keras.layers.Lambda(doubled)(images))
    traces.clear()
    convert(network)
    assert len(traces) == 1
