import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.tiny_networks import randomised
from tflite_bench.convert import convert
from tflite_bench.runtime import all_outputs, outputs


@pytest.mark.parametrize("form", ["list", "reversed", "dictionary"])
def test_several_outputs_come_in_the_networks_order(form):
    """Which is neither the file's, nor that of their names: there are more than ten."""
    layers = tf_keras.layers
    images = layers.Input((4, 4, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1)(images))
    heads = [layers.Dense(2, name=f"head_{number}")(pooled) for number in range(12)]
    given = {
        "list": heads,
        "reversed": heads[::-1],
        "dictionary": {f"answer_{number}": head for number, head in enumerate(heads)},
    }
    network = randomised(tf_keras.Model(images, given[form]))
    values = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype(np.float32)
    expected = [answer.numpy() for answer in tf.nest.flatten(network(values))]
    tflite = convert(network)
    answers = all_outputs(tflite, values)
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    np.testing.assert_array_equal(outputs(tflite, values), answers[0])
