"""Properties of channel groups, over random networks: a narrower one computes, and learns, what the masked one does."""

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import Channels
from netadapt_tf.networks.flattening import laid_flat
from netadapt_tf.networks.tracing import find_channels
from tests.netadapt_tf.networks.equivalence import (
    Equivalence,
    assert_alike,
    random_kept,
    saved_and_loaded,
    single_kept,
)
from tests.netadapt_tf.networks.random_networks import random_network
from tests.sweep import with_sweep

FAST, SLOW, ALL = range(10), range(10, 60), range(10, 220)
SAVED = range(1000, 1010)
SINGLES = 1  # groups of each network that are narrowed alone


@cache
def checked(seed: int) -> Counter[str]:
    """Features of a random network, once all that must hold for it does."""
    network, features = random_network(seed)
    network = flattened(network)
    channels = find_channels(network)
    equivalence = Equivalence(network, channels)
    kept = random_kept(channels, seed, least=1 + seed % 2)
    narrower = equivalence.assert_narrowed(kept)
    equivalence.assert_learns_alike(narrower, kept)
    alone = list(single_kept(channels, seed))
    first = seed % max(1, len(alone))
    for one in (alone[first:] + alone[:first])[:SINGLES]:
        equivalence.assert_narrowed(one)
    widths = {name: len(indices) for name, indices in kept.items()}
    assert channels.parameters(widths) == narrower.count_params()
    found_again = all(width > 1 or channels.widths[name] == 1 for name, width in widths.items())
    if found_again:  # a group of one is taken for a map that is spread over all channels of another tensor
        assert find_channels(narrower) == channels.at(widths)
    names = {layer.name for layer in network.layers}
    for group in channels.groups:
        assert group.lock is None or group.lock == "the network's output" or names & words(group.lock)
    features["channels can be removed"] += any(len(kept[name]) < channels.widths[name] for name in kept)
    features["removing them matters"] += equivalence.matters(kept)
    features["found again"] += found_again
    features["groups"] += len(channels.groups)
    features["groups that can shrink"] += len(channels.widths)
    return features


def flattened(network: tf_keras.Model) -> tf_keras.Model:
    """The network without nested models, which answers as before."""
    flat = laid_flat(network)
    images = np.random.default_rng(1).uniform(-1, 1, (3, *network.input_shape[1:])).astype(np.float32)
    if flat is not network:
        answers = ([np.asarray(answer) for answer in tf.nest.flatten(each(images))] for each in (flat, network))
        assert_alike(*answers)
    return flat


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w.]+", text))


@pytest.mark.parametrize("seed", FAST)
def test_narrowed_random_networks_equal_the_masked_ones(seed):
    checked(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", with_sweep(ALL, SLOW))
def test_many_narrowed_random_networks_equal_the_masked_ones(seed):
    checked(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", with_sweep([SLOW, ALL], [SLOW]), ids=["slow", "all"])
def test_the_random_networks_have_all_features(seeds):
    graphs = [checked(seed) for seed in seeds]
    having = Counter(feature for graph in graphs for feature, count in graph.items() if count)
    for feature in FEATURES:
        assert having[feature] >= len(graphs) // 20, f"{feature} in only {having[feature]} of {len(graphs)} networks"
    assert having["removing them matters"] > 0.9 * having["channels can be removed"]
    total = sum(graphs, Counter())
    assert total["groups that can shrink"] > total["groups"] / 3, "too much is locked for the tests to say much"


FEATURES = (
    *("residual", "concatenation", "spatial_concatenation", "added_concatenations", "unequal order", "onto_itself"),
    *("shared", "shared_with_the_input", "several outputs", "meant to be locked", "operators", "per_channel"),
    *("nested", "nested twice", "nested in nested", "penalised", "penalised activity"),
    *("squeeze_and_excitation", "excitation_without_positions", "spatial_attention"),
    *("depthwise", "multiplier", "separable", "transposed", "resampled", "dense_per_position"),
    *("head: flatten", "head: flattened stack", "head: map", "head: dot", "channels can be removed", "found again"),
)


@pytest.mark.parametrize("seed", [*SAVED[:2], *(pytest.param(seed, marks=pytest.mark.slow) for seed in SAVED[2:])])
def test_narrowed_random_networks_save_load_and_narrow_again(seed, tmp_path):
    network = flattened(random_network(seed, outputs=1)[0])
    channels = find_channels(network)
    equivalence = Equivalence(network, channels)
    kept = random_kept(channels, seed)
    narrower = equivalence.assert_narrowed(kept)
    loaded = saved_and_loaded(narrower, tmp_path)
    assert_alike(equivalence.answers(loaded), equivalence.answers(narrower))
    at = narrower_channels(channels, kept)
    Equivalence(loaded, at).assert_narrowed(random_kept(at, seed + 1))


def narrower_channels(channels: Channels, kept: dict) -> Channels:
    return channels.at({name: len(indices) for name, indices in kept.items()})
