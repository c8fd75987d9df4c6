"""That the grid of a latency table holds whatever a search of a network by name can ask for."""

import numpy as np
import pytest

from netadapt_tf.filling import Filling
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.search.filter_counts import candidate_filters
from tests.fake_meter import FakeMeter
from tests.sweep import with_sweep
from tests.tiny_networks import randomised
from tflite_bench.convert import convert
from tflite_bench.target import parse_target

FILTER_MULTIPLE = 64


@pytest.mark.slow
@pytest.mark.parametrize("name", with_sweep(NETWORKS, ["mobilenet_v1"]))
def test_the_grid_holds_every_layer_of_every_narrower_network(name, tmp_path):
    named = NETWORKS[name]
    widths = named.widths(0.35)
    network = randomised(named.build(widths, 32, 10))
    groups = find_channels(network).groups
    deployed = DeployedNetwork(convert(network), groups)
    plan = Filling(network, parse_target("android/cpu:1"), FakeMeter(), tmp_path / "table", FILTER_MULTIPLE).plan()
    start, generator = widths_of(groups), np.random.default_rng(0)
    assert list(start.items()) == list(widths.items())
    for _ in range(50):
        narrower = {
            name: int(generator.choice([*candidate_filters(filters, filters, FILTER_MULTIPLE), filters]))
            for name, filters in start.items()
        }
        assert set(deployed.signatures(narrower)) <= set(plan.layers)
