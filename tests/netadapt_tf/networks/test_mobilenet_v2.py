import numpy as np
import pytest
import tf_keras

from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.mobilenet_v2 import mobilenet_v2, mobilenet_v2_widths
from netadapt_tf.networks.tracing import find_channels
from tests.tiny_networks import randomised


@pytest.mark.parametrize(
    ("alpha", "resolution"),
    [
        (0.35, 33),
        *(pytest.param(*size, marks=pytest.mark.slow) for size in ((0.5, 49), (0.75, 64), (1.0, 40), (1.4, 32))),
    ],
)
def test_names_settings_weights_and_answers_are_those_of_keras_applications(alpha, resolution):
    ours = mobilenet_v2(mobilenet_v2_widths(alpha), resolution, 7)
    theirs = randomised(tf_keras.applications.MobileNetV2((resolution, resolution, 3), alpha, weights=None, classes=7))
    unnumbered = {layer.name: layer for layer in theirs.layers if not isinstance(layer, tf_keras.layers.InputLayer)}
    for layer in ours.layers[1:-2]:
        assert layer.get_config() == unnumbered[layer.name].get_config()
    assert [layer.name for layer in ours.layers[1:-2]] == [layer.name for layer in theirs.layers[1:-2]]
    ours.set_weights(theirs.get_weights())
    images = np.random.default_rng(0).uniform(-1, 1, (2, resolution, resolution, 3)).astype(np.float32)
    answers = theirs(images).numpy()
    assert np.ptp(answers) > 0.01, "the answers say nothing"
    np.testing.assert_allclose(ours(images), answers, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.125, 0.2, 0.35, 0.6, 1.0, 1.3, 2.0])
def test_widths_are_those_of_keras_applications(alpha):
    theirs = tf_keras.applications.MobileNetV2((32, 32, 3), alpha, weights=None)
    assert mobilenet_v2_widths(alpha) == {name: theirs.get_layer(name).filters for name in mobilenet_v2_widths(alpha)}


def test_there_are_25_groups_in_the_order_in_which_they_are_written():
    widths = mobilenet_v2_widths(1.0)
    network = mobilenet_v2(widths, 32, 5)
    written = [layer.name for layer in network.layers]
    assert len(widths) == 25
    assert sorted(widths, key=written.index) == list(widths)


def test_every_width_is_free():
    widths = {name: 3 + position for position, name in enumerate(mobilenet_v2_widths(1.0))}
    network = mobilenet_v2(widths, 32, 5, dropout=0.2)
    assert {name: network.get_layer(name).filters for name in widths} == widths
    assert network.get_layer("dropout").rate == 0.2
    assert network.output_shape == (None, 5)


@pytest.mark.parametrize("filters", [1, 8])
def test_equal_widths_join_nothing_that_the_architecture_does_not(filters):
    network = mobilenet_v2(dict.fromkeys(mobilenet_v2_widths(1.0), filters), 32, 5)
    joined = [layer.name for layer in network.layers if isinstance(layer, tf_keras.layers.Add)]
    assert joined == [f"block_{block}_add" for block in (2, 4, 5, 7, 8, 9, 11, 12, 14, 15)]


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_its_channel_groups_are_its_widths(alpha):
    widths = mobilenet_v2_widths(alpha)
    groups = find_channels(mobilenet_v2(widths, 32, 10)).groups
    assert list(widths_of(groups).items()) == list(widths.items())
    by_name = {group.name: group for group in groups}
    assert by_name["block_6_project"].writers == tuple(f"block_{block}_project" for block in (6, 7, 8, 9))
    assert set(by_name["block_6_project"].readers) == {f"block_{block}_expand" for block in (7, 8, 9, 10)}
    assert by_name["predictions"].lock
