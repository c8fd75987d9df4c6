from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import ChannelGroup
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.search.filter_choice import taylor_norms
from netadapt_tf.search.filter_scores import TAYLOR_BATCHES, check_criterion, scores
from netadapt_tf.search.proposals import proposal_seed
from netadapt_tf.training.datasets import batch_spec
from tests.tiny_networks import randomised
from tflite_bench.errors import UserError

layers = tf_keras.layers
CROSS_ENTROPY = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
IMAGES = np.random.default_rng(0).normal(size=(8 * TAYLOR_BATCHES, 6, 6, 3)).astype(np.float32)
LABELS = np.arange(len(IMAGES)) % 4


def labelled() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)


def residual(norms: bool) -> tf_keras.Model:
    """A group of two writers, one of one; with batch norms behind all, or biases and activations of their own."""

    def normalised(x, name):
        return layers.BatchNormalization(name=f"{name}_bn")(x) if norms else x

    images = layers.Input((6, 6, 3))
    own = {"use_bias": not norms, "padding": "same"}
    stem = layers.ReLU(name="relu")(normalised(layers.Conv2D(6, 3, **own, name="stem")(images), "stem"))
    inner = layers.Conv2D(5, 3, activation=None if norms else "sigmoid", **own, name="inner")(stem)
    inner = layers.ReLU(name="inner_relu")(normalised(inner, "inner"))
    branch = normalised(layers.Conv2D(6, 3, **own, name="branch")(inner), "branch")
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="sum")([stem, branch]))
    return randomised(tf_keras.Model(images, layers.Dense(4, name="classes")(x)))


def before_the_norm() -> tf_keras.Model:
    """Batch norms inside the residual branch alone, as in ResNetV2: the skip goes past them."""
    images = layers.Input((6, 6, 3))
    stem = layers.Conv2D(6, 3, padding="same", name="stem")(images)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="bn")(stem))
    x = layers.Add(name="sum")([stem, layers.Conv2D(6, 3, padding="same", name="branch")(x)])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return randomised(tf_keras.Model(images, layers.Dense(4, name="classes")(x)))


def unusual_kernels() -> tf_keras.Model:
    """Layers whose kernel counts filters along another axis, or that have two kernels; a scaled-down batch norm."""
    images = layers.Input((6, 6, 3))
    x = layers.Conv2DTranspose(5, 2, strides=2, activation="relu", name="transposed")(images)
    x = layers.SeparableConv2D(7, 3, activation="relu", name="separable")(x)
    x = layers.BatchNormalization(scale=False, name="unscaled")(layers.Conv2D(6, 3, use_bias=False, name="conv")(x))
    x = layers.Flatten(name="flat")(layers.MaxPooling2D(4, name="pool")(layers.ReLU(name="relu")(x)))
    x = layers.Dense(9, activation="relu", name="dense")(x)
    return randomised(tf_keras.Model(images, layers.Dense(4, name="classes")(x)))


def shared() -> tf_keras.Model:
    """One convolution, applied to its own output again."""
    images = layers.Input((6, 6, 3))
    x = layers.Conv2D(5, 1, name="stem")(images)
    again = layers.Conv2D(5, 3, padding="same", activation="relu", name="again")
    x = layers.GlobalAveragePooling2D(name="pool")(again(again(x)))
    return randomised(tf_keras.Model(images, layers.Dense(4, name="classes")(x)))


def free_groups(network: tf_keras.Model) -> list[ChannelGroup]:
    return [group for group in find_channels(network).groups if group.lock is None]


def scored(criterion: str, network: tf_keras.Model, batches=None, loss=CROSS_ENTROPY) -> Mapping[str, np.ndarray]:
    batches = batches or labelled()
    score = scores(criterion, network, find_channels(network), batches, loss, lambda group: len(group))
    return {group.name: score(group) for group in free_groups(network)}


Change = Callable[[int, float], None]
"""Multiplies what a filter, by its number, writes by a factor."""


def change_of_weights(*weights: tuple[tf.Variable, int]) -> Change:
    """By the weights that a filter's output is proportional to, each with the axis that counts filters."""
    before = [weight.numpy() for weight, _ in weights]

    def change(number: int, factor: float) -> None:
        for (weight, axis), values in zip(weights, before, strict=True):
            changed = values.copy()
            np.moveaxis(changed, axis, 0)[number] *= factor
            weight.assign(changed)

    return change


def change_of_output(layer: tf_keras.layers.Layer) -> Change:
    """By a gate behind a layer."""
    gates = tf.Variable(tf.ones(layer.get_output_shape_at(0)[-1]))
    call = layer.call
    layer.call = lambda *inputs, **more: call(*inputs, **more) * gates

    def change(number: int, factor: float) -> None:
        gates.assign(tf.tensor_scatter_nd_update(tf.ones_like(gates), [[number]], [factor]))

    return change


def true_effects(network: tf_keras.Model, change: Change, filters: int, batches=None, loss=CROSS_ENTROPY):
    """What each filter is worth on each batch, [batches, filters]: the loss with a little more of it, and less."""
    batches, little = batches or labelled(), 1e-2

    @tf.function(input_signature=batch_spec(batches))
    def loss_of(images, targets):
        return tf.reduce_mean(loss(targets, network(images, training=False)))

    def losses() -> np.ndarray:
        return np.array([loss_of(*batch) for batch in batches])

    effects = []
    for number in range(filters):
        change(number, 1 + little)
        more = losses()
        change(number, 1 - little)
        effects.append((more - losses()) / (2 * little))
        change(number, 1.0)
    return np.stack(effects, axis=1)


def check_taylor(network: tf_keras.Model, group: str, *changes: Callable[[], Change], **more: Any) -> None:
    """That a group's scores are what is measured, by a change for each of its writers."""
    scores_of_group = scored("taylor", network, **more)[group]
    effects = [true_effects(network, change(), len(scores_of_group), **more) for change in changes]
    expected = taylor_norms(effects)
    assert expected.max() > 0.01
    np.testing.assert_allclose(scores_of_group, expected, rtol=0.03, atol=0.02 * expected.max())


def weights_of(network: tf_keras.Model, layer: str, *axes: int) -> Callable[[], Change]:
    return lambda: change_of_weights(*zip(network.get_layer(layer).weights, axes, strict=False))


def output_of(network: tf_keras.Model, layer: str) -> Callable[[], Change]:
    return lambda: change_of_output(network.get_layer(layer))


def test_taylor_behind_batch_norms_is_what_their_scale_and_offset_are_worth():
    network = residual(norms=True)
    assert [group.writers for group in free_groups(network)] == [("stem", "branch"), ("inner",)]
    check_taylor(network, "stem", weights_of(network, "stem_bn", 0, 0), weights_of(network, "branch_bn", 0, 0))
    check_taylor(network, "inner", weights_of(network, "inner_bn", 0, 0))


def test_taylor_without_batch_norms_is_what_kernels_and_biases_are_worth():
    network = residual(norms=False)
    assert [group.writers for group in free_groups(network)] == [("stem", "branch"), ("inner",)]
    check_taylor(network, "stem", weights_of(network, "stem", 3, 0), weights_of(network, "branch", 3, 0))


def test_taylor_takes_the_path_around_a_batch_norm_into_account():
    network = before_the_norm()
    check_taylor(network, "stem", weights_of(network, "stem", 3, 0), weights_of(network, "branch", 3, 0))


@pytest.mark.parametrize(("name", "axes"), [("transposed", (2, 0)), ("dense", (1, 0))])
def test_taylor_of_unusual_kernels(name, axes):
    network = unusual_kernels()
    check_taylor(network, name, weights_of(network, name, *axes))


def test_taylor_of_a_pointwise_kernel_and_its_bias():
    network = unusual_kernels()
    _, pointwise, bias = network.get_layer("separable").weights
    check_taylor(network, "separable", lambda: change_of_weights((pointwise, 3), (bias, 0)))


def test_taylor_is_about_what_is_read_where_no_weight_is_proportional_to_it():
    sigmoid, unscaled, again = residual(norms=False), unusual_kernels(), shared()
    check_taylor(sigmoid, "inner", output_of(sigmoid, "inner"))
    check_taylor(unscaled, "conv", output_of(unscaled, "unscaled"))
    check_taylor(again, "stem", output_of(again, "stem"), output_of(again, "again"))


def test_taylor_takes_targets_of_any_form_losses_by_example_and_a_last_batch_that_is_smaller():
    network = residual(norms=True)
    targets: dict[str, np.ndarray] = {"label": LABELS, "weight": np.linspace(0.1, 1, len(LABELS)).astype(np.float32)}
    batches = tf.data.Dataset.from_tensor_slices((IMAGES[:20], {k: v[:20] for k, v in targets.items()})).batch(8)
    by_example = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def loss(targets, outputs):
        return targets["weight"] * by_example(targets["label"], outputs)

    changes = (weights_of(network, "stem_bn", 0, 0), weights_of(network, "branch_bn", 0, 0))
    check_taylor(network, "stem", *changes, batches=batches, loss=loss)


def test_taylor_reads_a_few_batches_and_changes_nothing():
    network = residual(norms=True)
    before = network.get_weights()
    found = scored("taylor", network, labelled().repeat())
    for name, values in scored("taylor", network, labelled()).items():
        np.testing.assert_array_equal(found[name], values)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_taylor_scores_layers_that_are_not_trained():
    network, frozen = residual(norms=True), residual(norms=True)
    frozen.trainable = False
    for name, values in scored("taylor", network).items():
        np.testing.assert_allclose(scored("taylor", frozen)[name], values, rtol=1e-5)


@pytest.mark.parametrize("criterion", ["l2", "bn_scale", "taylor"])
def test_half_precision_is_scored_alike(criterion):
    network = residual(norms=True)
    policy = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        half = residual(norms=True)
    finally:
        tf_keras.mixed_precision.set_global_policy(policy)

    def loss(targets, outputs):
        return CROSS_ENTROPY(targets, tf.cast(outputs, tf.float32))

    found, expected = scored(criterion, half, loss=loss), scored(criterion, network)
    for name, values in expected.items():
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], values, rtol=0.1, atol=0.05 * values.max())


def test_the_scales_right_behind_all_writers_are_read():
    network = residual(norms=True)
    scale = {name: network.get_layer(f"{name}_bn").gamma.numpy() for name in ("stem", "inner", "branch")}
    found = scored("bn_scale", network)
    np.testing.assert_allclose(found["stem"], np.hypot(scale["stem"], scale["branch"]), rtol=1e-6)
    np.testing.assert_allclose(found["inner"], np.abs(scale["inner"]), rtol=1e-6)


@pytest.mark.parametrize(
    ("network", "missing", "lock"),
    [
        (lambda: residual(norms=False), "stem", ("stem", "inner")),
        (before_the_norm, "stem", ("stem",)),
        (unusual_kernels, "transposed", ("transposed", "separable", "conv", "dense")),
    ],
)
def test_a_missing_batch_norm_is_refused_where_filters_are_to_be_chosen_by_it(network, missing, lock):
    network = network()
    with pytest.raises(UserError) as error:
        check_criterion("bn_scale", network, find_channels(network))
    assert str(error.value) == (
        "filters=bn_scale needs every layer that writes channels to be read by a batch norm with a scale and by "
        f"nothing else; {missing} is not: choose another criterion, or lock={missing}"
    )
    for criterion in ("l2", "taylor", "random"):
        check_criterion(criterion, network, find_channels(network))
    check_criterion("bn_scale", network, find_channels(network, dict.fromkeys(lock, "asked for")))
    with pytest.raises(UserError):
        check_criterion("bn_scale", network, find_channels(network, dict.fromkeys(lock[1:], "asked for")))


def test_with_batch_norms_nothing_is_refused():
    network = residual(norms=True)
    check_criterion("bn_scale", network, find_channels(network))


def test_norms_are_taken_over_everything_but_the_filters():
    network = unusual_kernels()
    found = scored("l2", network)
    (transposed, _), (_, pointwise, _), (conv,), (dense, _) = (
        network.get_layer(name).get_weights() for name in ("transposed", "separable", "conv", "dense")
    )
    expected = {
        "transposed": np.sqrt((transposed**2).sum((0, 1, 3))),  # [kh, kw, filters, in]
        "separable": np.sqrt((pointwise**2).sum((0, 1, 2))),
        "conv": np.sqrt((conv**2).sum((0, 1, 2))),
        "dense": np.sqrt((dense**2).sum(0)),
    }
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)


def test_norms_of_several_writers():
    network = residual(norms=False)
    stem, branch = (network.get_layer(name).get_weights()[0] for name in ("stem", "branch"))
    both = np.concatenate([stem, branch], axis=2)  # [kh, kw, in, filters]
    np.testing.assert_allclose(scored("l2", network)["stem"], np.sqrt((both**2).sum((0, 1, 2))), rtol=1e-5)


def test_random_scores_are_repeatable_and_other_ones_by_seed_iteration_and_group():
    network = residual(norms=True)
    channels = find_channels(network)
    (group, _) = free_groups(network)

    def random(run_seed: int, iteration: int, name: str) -> tuple[float, ...]:
        score = scores(
            "random", network, channels, labelled(), CROSS_ENTROPY, lambda _: proposal_seed(run_seed, iteration, name)
        )
        return tuple(score(group))

    assert random(0, 1, "stem") == random(0, 1, "stem")
    assert len({random(0, 1, "stem"), random(1, 1, "stem"), random(0, 2, "stem"), random(0, 1, "inner")}) == 4
    by_name = scores("random", network, channels, labelled(), CROSS_ENTROPY, lambda name: proposal_seed(0, 1, name))
    assert tuple(by_name(group)) == random(0, 1, "stem"), "the seed is not that of the group"


def with_batch_norms(shared: bool) -> tf_keras.Model:
    """Two convolutions side by side, behind one batch norm that is used twice, or behind two that are alike."""
    images = layers.Input((6, 6, 3))
    one = layers.BatchNormalization(name="one")
    two = one if shared else layers.BatchNormalization(name="two")
    branches = [norm(layers.Conv2D(4, 3, name=name)(images)) for norm, name in ((one, "a"), (two, "b"))]
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Concatenate(name="side_by_side")(branches))
    return tf_keras.Model(images, layers.Dense(4, name="classes")(x))


def test_taylor_tells_writers_apart_that_share_a_batch_norm():
    apart, shared = randomised(with_batch_norms(shared=False)), with_batch_norms(shared=True)
    apart.get_layer("two").set_weights(apart.get_layer("one").get_weights())
    for layer in (layer for layer in shared.layers if layer.weights):
        layer.set_weights(apart.get_layer(layer.name).get_weights())

    def taylor(network: tf_keras.Model) -> list[np.ndarray]:
        channels = find_channels(network)
        score = scores("taylor", network, channels, labelled(), CROSS_ENTROPY, lambda _: 0)
        return [score(group) for group in channels.groups if group.lock is None]

    [tied] = taylor(shared)
    np.testing.assert_allclose(tied, np.hypot(*taylor(apart)), rtol=1e-4)


def test_a_criterion_that_is_only_named_is_no_other_one():
    with pytest.raises(ValueError, match="cannot be scored by beauty"):
        scored("beauty", shared())
