import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from benchmarks.scale_regulariser import THRESHOLD, alive_widths, channel_costs, regularise
from netadapt_tf.networks.tracing import find_channels
from tests.tiny_networks import randomised
from tflite_bench.errors import UserError


def batches(seed: int) -> tf.data.Dataset:
    generator = np.random.default_rng(0)
    images = generator.normal(size=(64, 8, 8, 3)).astype(np.float32)
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype(np.int64)
    return tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(64, seed).batch(16)


def normalised_cnn(branches: bool = False) -> tf_keras.Model:
    """Two convolutions, each with a batch norm; with branches the second is added to a third."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="first")(images)
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    y = layers.BatchNormalization(name="second_bn")(layers.Conv2D(32, 1, use_bias=False, name="second")(x))
    if branches:
        y += layers.BatchNormalization(name="third_bn")(layers.Conv2D(32, 1, use_bias=False, name="third")(x))
    y = layers.GlobalAveragePooling2D()(layers.ReLU()(y))
    return randomised(tf_keras.Model(images, layers.Dense(2, activation="softmax")(y)))


def test_a_channel_costs_what_its_group_saves():
    costs = channel_costs({"a": 8, "b": 4, "one": 1}, lambda w: 2.0 + 0.05 * w["a"] * w["b"] + 0.1 * w["b"])
    whole = 2.0 + 0.05 * 32 + 0.4
    assert costs == {"a": pytest.approx(0.05 * 16 / 4 / whole), "b": pytest.approx((0.05 * 16 + 0.2) / 2 / whole)}
    assert channel_costs({"a": 8}, lambda w: 1.0 - 0.01 * w["a"]) == {"a": 0.0}, "a negative cost would grow scales"


def test_what_is_alive_stays_rounded_up_to_a_candidate():
    scales = {"a": np.full(64, 1.0), "b": np.full(32, 1.0), "c": np.zeros(16)}
    scales["a"][9:] = THRESHOLD / 2
    scales["b"][9:] = THRESHOLD / 2
    assert alive_widths({"a": 64, "b": 32, "c": 16}, scales, 8) == {"a": 16, "b": 16, "c": 4}
    assert alive_widths({"a": 64}, {"a": np.ones(64)}, 8) == {"a": 64}


def test_dear_channels_die_first_until_every_budget_is_met():
    network = normalised_cnn()
    before = network.get_layer("second_bn").gamma.numpy()
    costs = {"first": 0.0, "second": 0.02}
    found = regularise(network, batches, 0, 0.02, costs, 8, lambda widths: widths["second"] / 32, [75, 50])
    assert set(found) == {75, 50}
    for percent, result in found.items():
        widths = find_channels(result.network).widths
        assert widths["first"] == 16, "what costs nothing was cut"
        assert widths["second"] <= 32 * percent / 100
        kept = result.network.get_layer("second_bn").gamma.numpy()
        assert np.abs(kept).max() > THRESHOLD
    assert found[75].steps <= found[50].steps
    assert found[50].steps % 4 == 0
    after = network.get_layer("second_bn").gamma.numpy()
    assert np.abs(after).sum() < np.abs(before).sum()


def test_of_a_channel_that_two_layers_write_the_larger_scale_counts():
    network = normalised_cnn(branches=True)
    for name, alive in (("second_bn", slice(0, 4)), ("third_bn", slice(4, 12))):
        gamma = np.zeros(32, np.float32)
        gamma[alive] = 1.0
        network.get_layer(name).gamma.assign(gamma)
    found = regularise(network, batches, 0, 0.0, {"second": 0.5}, 8, lambda widths: widths["second"] / 32, [50])
    assert find_channels(found[50].network).widths["second"] == 16, "twelve are alive"


def test_a_layer_without_batch_norm_is_named(cnn):
    with pytest.raises(UserError, match="batch norm behind every layer; second has none"):
        regularise(cnn, batches, 0, 0.05, {"second": 1.0}, 8, lambda widths: 0.0, [50])
