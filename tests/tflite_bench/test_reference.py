import numpy as np

from tflite_bench.graph import Graph
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.runtime import outputs
from tflite_bench.sizing import sized


def test_reference_network_runs_and_is_always_the_same():
    assert reference_network() == reference_network.__wrapped__()
    images = np.random.default_rng(0).uniform(size=(1, 16, 16, 64)).astype(np.float32)
    answer = outputs(reference_network(), images)
    assert answer.shape == (1, 16, 16, 64)
    assert answer.std() > 0.01
    assert sum(layer.macs for layer in sized(Graph(reference_network()), {})) == 4 * 16 * 16 * 64 * 64


def test_almost_empty_model_runs():
    np.testing.assert_array_equal(outputs(almost_empty_model(), np.array([[3.0]], np.float32)), [[3.0]])
