import itertools

import pytest
import tf_keras

from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.covering import covering
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.grid import groups_of_layers, layer_grid
from tests.tiny_networks import randomised, tiny_cnn
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.layer_signature import layer_signature


@pytest.fixture
def deployed(cnn_tflite) -> DeployedNetwork:
    return DeployedNetwork(cnn_tflite, find_channels(tiny_cnn()).groups)


START = {"first": 8, "second": 12}
CANDIDATES = {"first": [4, 6, 8], "second": [4, 8, 12]}


def test_the_grid_is_every_layer_of_every_network(deployed):
    every = {
        signature
        for filters in itertools.product(*CANDIDATES.values())
        for signature in deployed.signatures(dict(zip(CANDIDATES, filters, strict=True)))
    }
    assert layer_grid(deployed, START, CANDIDATES).keys() == every


def test_a_layer_of_the_grid_has_the_shapes_of_its_signature(deployed):
    for signature, layer in layer_grid(deployed, START, CANDIDATES).items():
        assert layer_signature(deployed.graph, layer.layer) == signature


def test_a_group_that_has_no_choice_adds_nothing(deployed):
    fixed = {"first": [8], "second": [12]}
    assert layer_grid(deployed, START, fixed).keys() == set(deployed.signatures(START))


def test_networks_hold_the_whole_grid_of_a_chain(mobilenet, mobilenet_tflite):
    groups = find_channels(mobilenet).groups
    start = widths_of(groups)
    candidates = {name: [filters // 2, filters] for name, filters in start.items()}
    deployed = DeployedNetwork(mobilenet_tflite, groups)
    grid = layer_grid(deployed, start, candidates)
    networks = covering(start, [layer.widths for layer in grid.values()])
    assert len(networks) == 4
    held = {signature for widths in networks for signature in deployed.signatures(widths)}
    assert grid.keys() <= held


def test_a_layer_depends_on_the_groups_that_it_reads_and_writes(deployed):
    groups = dict(zip(deployed.signatures(START), groups_of_layers(deployed, START), strict=True))
    by_kind = {signature.split()[0]: names for signature, names in groups.items()}
    assert by_kind["DEPTHWISE_CONV_2D"] == ("first",)
    assert by_kind["FULLY_CONNECTED"] == ("second",)
    assert by_kind["SOFTMAX"] == ()
    assert ("first", "second") in groups.values()


def test_networks_of_these_widths_hold_the_layer(deployed):
    for signature, layer in layer_grid(deployed, START, CANDIDATES).items():
        assert signature in deployed.signatures({**START, **layer.widths})


def test_a_layer_that_depends_on_dozens_of_groups_has_no_grid():
    layers = tf_keras.layers
    x = images = layers.Input((4, 4, 3))
    for number in range(12):
        x = layers.Concatenate(name=f"stack_{number}")([x, layers.Conv2D(8, 1, name=f"conv_{number}")(x)])
    network = randomised(tf_keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(x))))
    channels = find_channels(network)
    deployed = DeployedNetwork(convert(network), channels.groups)
    candidates = {name: [2, 4, 6, 8] for name in channels.widths}
    with pytest.raises(UserError, match=r"a layer depends on 1\d channel groups, conv_0 and others"):
        layer_grid(deployed, channels.widths, candidates)
