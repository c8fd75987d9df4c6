import numpy as np
import pytest
import tf_keras

from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths


@pytest.mark.parametrize(("alpha", "resolution"), [(0.25, 32), (0.5, 48), (1.0, 64)])
def test_names_and_weights_are_those_of_keras_applications(alpha, resolution):
    ours = mobilenet_v1(mobilenet_v1_widths(alpha), resolution, 7)
    theirs = tf_keras.applications.MobileNet((resolution, resolution, 3), alpha, weights=None, classes=7)
    named = [layer.name for layer in theirs.layers if layer.weights]
    assert [layer.name for layer in ours.layers if layer.weights] == named
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(0).uniform(-1, 1, (2, resolution, resolution, 3)).astype(np.float32)
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-6)


def test_every_width_is_free():
    widths = {name: 3 + position for position, name in enumerate(mobilenet_v1_widths(1.0))}
    network = mobilenet_v1(widths, 32, 5)
    assert {name: network.get_layer(name).filters for name in widths} == widths
    assert network.output_shape == (None, 5)
