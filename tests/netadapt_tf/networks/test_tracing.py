import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import constraints, layers, regularizers

from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.locks import locks_of
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths
from netadapt_tf.networks.tracing import find_channels
from tests.tiny_training import classifier_trainer
from tflite_bench.errors import UserError


def test_groups_of_mobilenet_v1():
    widths = mobilenet_v1_widths(0.25)
    groups = find_channels(mobilenet_v1(widths, 32, 10)).groups
    assert widths_of(groups) == widths
    assert list(widths_of(groups)) == list(widths)
    block = next(group for group in groups if group.name == "conv_pw_3")
    assert block.writers == ("conv_pw_3",)
    assert block.per_channel == ("conv_pw_3_bn", "conv_dw_4", "conv_dw_4_bn")
    assert block.readers == ("conv_pw_4",)
    last = next(group for group in groups if group.name == "conv_preds")
    assert last.lock is not None
    assert "predictions" in last.lock


def test_a_group_reads_as_a_list():
    groups = find_channels(mobilenet_v1(mobilenet_v1_widths(0.25), 32, 10)).groups
    assert str(groups[1]) == (
        "conv_pw_1: 16 filters\n"
        "  written by conv_pw_1\n"
        "  through conv_pw_1_bn, conv_dw_2, conv_dw_2_bn\n"
        "  read by conv_pw_2"
    )
    assert "locked" in str(groups[-1])


def locks(network: tf_keras.Model) -> dict[str, str | None]:
    return {group.name: group.lock for group in find_channels(network).groups}


def groups(network: tf_keras.Model) -> dict[str, tuple[str, ...]]:
    """The writers of every group that can shrink."""
    return {group.name: group.writers for group in find_channels(network).groups if group.lock is None}


def test_an_addition_ties_its_branches():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    y = layers.Conv2D(4, 1, name="b")(layers.Conv2D(6, 1, name="c")(x))
    z = layers.Add()([x, y])
    z = layers.Conv2D(4, 1, name="d")(z) + z
    found = find_channels(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(z))))
    tied, between, out = found.groups
    assert (tied.name, tied.writers, tied.readers) == ("a", ("a", "b", "d"), ("c", "d", "out"))
    assert (between.writers, between.readers) == (("c",), ("b",))
    assert out.lock == "the network's output"


def test_a_concatenation_stacks_and_a_flattening_repeats():
    images = layers.Input((2, 2, 3))
    x = layers.Concatenate()([layers.Conv2D(2, 1, name="a")(images), images, layers.Conv2D(1, 1, name="b")(images)])
    x = layers.BatchNormalization(name="bn")(x)
    network = tf_keras.Model(images, layers.Dense(2, name="out")(layers.Flatten()(x)))
    found = find_channels(network)
    stacked = (("a", 2), (None, 3), ("b", 1))
    assert found.weights["bn"][0].axes[0].layout == stacked
    assert found.weights["out"][0].axes[0].layout == 4 * stacked
    assert groups(network) == {"a": ("a",), "b": ("b",)}


def test_squeeze_and_excitation_is_one_group_with_what_it_scales():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    s = layers.Conv2D(2, 1, activation="relu", name="squeeze")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    s = layers.Conv2D(4, 1, name="excite")(s)
    x = x * (tf.nn.relu6(s + 3.0) / 6.0)
    network = tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(x)))
    assert groups(network) == {"a": ("a", "excite"), "squeeze": ("squeeze",)}


def test_a_map_of_one_channel_is_spread_and_stays():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    x = layers.Multiply(name="attend")([x, layers.Conv2D(1, 7, padding="same", name="map")(x)])
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(x))))
    assert found["a"] is None
    assert found["map"] == "attend (Multiply) spreads them over all channels of another tensor"


def test_a_layer_used_twice_ties_what_it_reads():
    images = layers.Input((8, 8, 3))
    shared = layers.Conv2D(4, 1, name="shared")
    x, y = layers.Conv2D(6, 1, name="a")(images), layers.Conv2D(6, 1, name="b")(images)
    z = layers.Concatenate()([shared(x), shared(y)])
    assert groups(tf_keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(z)))) == {
        "a": ("a", "b"),
        "shared": ("shared",),
    }
    own = layers.Conv2D(4, 1, name="own")
    z = own(own(layers.Conv2D(4, 1, name="c")(images)))
    [(_, writers)] = groups(tf_keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(z)))).items()
    assert set(writers) == {"c", "own"}


def test_what_does_not_fit_together_is_locked():
    images = layers.Input((8, 8, 3))
    a, b, c = (layers.Conv2D(n, 1, name=name)(images) for n, name in ((2, "a"), (4, "b"), (6, "c")))
    x = layers.Add(name="uneven")([layers.Concatenate()([a, b]), c])
    y = layers.Add(name="onto_input")([layers.Conv2D(3, 1, name="d")(images), images])
    found = locks(tf_keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(layers.Concatenate()([x, y])))))
    uneven = "uneven (Add) joins them with channels that are stacked differently"
    assert found["a"] == found["b"] == found["c"] == uneven
    assert found["d"] == "onto_input (Add) joins them with channels that cannot be removed"


def test_grouped_and_cross_channel_layers_are_locked():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 1, name="c")(images))
    x = layers.Conv2D(4, 1, activation="softmax", name="softmaxed")(layers.Conv2D(4, 1, name="d")(x))
    x = layers.DepthwiseConv2D(1, depth_multiplier=2, name="multiplied")(layers.Conv2D(4, 1, name="e")(x))
    x = layers.LayerNormalization(name="normalised")(layers.Conv2D(4, 1, name="f")(x))
    x = tf.nn.softmax(layers.Conv2D(4, 1, name="g")(x))
    x = layers.Conv2D(4, 1, name="last")(x)
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(x))))
    assert found["c"] == found["grouped"] == "grouped (Conv2D) is a grouped convolution"
    assert found["softmaxed"] == "softmaxed (Conv2D) mixes them: its activation is softmax"
    assert found["d"] is None, "a layer's own activation does not concern what it reads"
    assert found["e"] == "multiplied (DepthwiseConv2D) has a depth multiplier"
    assert found["f"] == "normalised (LayerNormalization) cannot be followed"
    assert str(found["g"]).endswith(" (operator nn.softmax) cannot be followed")
    assert found["last"] is None


def test_a_function_of_ones_own_is_not_taken_for_keras():
    def relu(x: tf.Tensor) -> tf.Tensor:
        return x - tf.reduce_mean(x, -1, keepdims=True)

    images = layers.Input((8, 8, 3))
    x = layers.Activation(relu, name="mine")(layers.Conv2D(4, 1, name="a")(images))
    found = locks(tf_keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(x))))
    assert found["a"] == "mine (Activation) mixes them: its activation is relu"


def test_activations_that_are_layers():
    images = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 1, activation=layers.LeakyReLU(), name="a")(layers.Conv2D(4, 1, name="b")(images))
    y = layers.Conv2D(4, 1, activation=layers.Softmax(), name="c")(y)
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(y))))
    assert found["a"] is found["b"] is None
    assert "Softmax" in str(found["c"])


def test_locked_groups_can_be_trained():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 1, name="a")(images))
    network = tf_keras.Model(images, layers.Dense(2, activation="softmax")(layers.GlobalMaxPooling2D()(x)))
    classifier_trainer(network, find_channels(network)).set_masks({})


def test_reshape_of_single_positions_is_followed():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    x = layers.Reshape((1, 1, 4), name="to_image")(layers.GlobalAveragePooling2D()(x))
    found = find_channels(tf_keras.Model(images, layers.Conv2D(2, 1, name="out")(x))).groups
    assert widths_of(found) == {"a": 4}
    assert "to_image" in found[0].per_channel


def test_batch_norms_right_behind_their_writers_are_known():
    images = layers.Input((8, 8, 3))
    x = layers.BatchNormalization(name="own")(layers.Conv2D(4, 1, name="a")(images))
    x = layers.BatchNormalization(name="another")(layers.ReLU()(x))
    found = find_channels(tf_keras.Model(images, layers.Dense(2)(layers.GlobalMaxPooling2D()(x))))
    assert found.normalisers["a"] == "own"


def test_locks_that_are_asked_for():
    network = mobilenet_v1(mobilenet_v1_widths(0.25), 32, 10)
    found = find_channels(network)
    locked = find_channels(network, locks_of(found, "conv_pw_1[0-3]?"))
    assert found.widths.keys() - locked.widths.keys() == {f"conv_pw_{n}" for n in (1, 10, 11, 12, 13)}
    with pytest.raises(UserError, match="lock=conv matches no layer that writes channels; these do: conv1, "):
        locks_of(found, "conv")


def pooled(x: tf.Tensor) -> tf.Tensor:
    return layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(x))


@pytest.mark.parametrize(
    "constant", [np.ones(4, np.float32), [1.0, 2.0, 3.0, 4.0]], ids=["array", "list, as files bring it back"]
)
def test_constants_for_each_channel_are_locked(constant):
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images) * constant
    y = tf.clip_by_value(layers.Conv2D(4, 1, name="b")(images), -1.0, constant)
    stripe = tf.ones((2, 1, 8, 4))
    z = tf.concat([layers.Conv2D(4, 1, name="c")(images), stripe], 1)
    w = layers.Add(name="plus")([layers.Conv2D(4, 1, name="d")(images), stripe])
    found = locks(tf_keras.Model(images, [pooled_as(n, v) for n, v in zip("stuv", (x, y, z, w), strict=True)]))
    assert "has a constant for each channel" in str(found["a"])
    assert "has a constant for each channel" in str(found["b"])
    assert "is called with constants" in str(found["c"])
    assert found["d"] == "plus (Add) is called with constants"


def pooled_as(name: str, x: tf.Tensor) -> tf.Tensor:
    return layers.Dense(2, name=name)(layers.GlobalMaxPooling2D()(x))


def test_a_layer_that_cannot_be_followed_once_is_locked_in_all_uses():
    images = layers.Input((8, 8, 3))
    reshape = layers.Reshape((1, 1, 4), name="reshape")
    x = reshape(layers.GlobalMaxPooling2D()(layers.Conv2D(4, 1, name="a")(images)))
    y = reshape(layers.MaxPooling2D(4)(layers.Conv2D(1, 1, name="b")(images)))
    found = locks(tf_keras.Model(images, pooled(layers.Add()([layers.Conv2D(3, 1)(x), layers.Conv2D(3, 1)(y)]))))
    assert found["a"] == found["b"] == "reshape (Reshape) splits channels"


def test_layers_that_share_a_weight_are_locked():
    images = layers.Input((8, 8, 3))
    shared = layers.Dense(4, name="shared")
    x = layers.Conv2D(4, 1, name="a")(images)
    y = layers.Conv2D(3, 1, name="between")(layers.Conv2D(4, 1, name="b")(layers.TimeDistributed(shared, name="t")(x)))
    z = layers.Conv2D(5, 1, name="c")(shared(layers.Conv2D(4, 1, name="d")(images)))
    found = locks(tf_keras.Model(images, pooled(layers.Concatenate()([y, z]))))
    assert found["shared"] == found["d"] == "shared (Dense) shares weights with t (TimeDistributed)"
    assert found["between"] is found["c"] is None


def test_tensors_without_a_fixed_number_of_channels_or_axes_are_no_obstacle():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    numbers = tf.reduce_mean(x, [1, 2, 3]) + tf.reduce_max(x, [1, 2, 3])  # [N]
    mean = tf.nn.relu(tf.reduce_mean(layers.Conv2D(4, 1, name="b")(images)))  # a single number
    anything = tf.nn.relu(tf.reshape(layers.Conv2D(4, 1, name="c")(images), tf.shape(images)[:3]))
    found = locks(tf_keras.Model(images, [pooled(x), numbers, mean, anything]))
    assert all("cannot be followed" in str(found[name]) for name in "abc")


def test_layers_that_spell_out_their_weights_or_noise_are_locked():
    images = layers.Input((8, 8, 3))
    kernel = tf_keras.initializers.Constant([[[[1.0, 2.0, 3.0, 4.0]] * 3]])
    x = layers.Conv2D(4, 1, kernel_initializer=kernel, name="constant")(images)
    y = layers.AlphaDropout(0.1, noise_shape=(2, 1, 1, 4), name="drop")(layers.Conv2D(4, 1, name="b")(images))
    found = locks(tf_keras.Model(images, pooled(layers.Concatenate()([x, y]))))
    assert found["constant"] == "constant (Conv2D) spells out its initial weights"
    assert found["b"] == "drop (AlphaDropout) spells out the shape of its noise"


def test_groups_of_a_transposed_convolution_count_although_keras_ignores_them():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2DTranspose(4, 1, groups=2, name="grouped")(images)
    assert locks(tf_keras.Model(images, pooled(x)))["grouped"] == "grouped (Conv2DTranspose) is a grouped convolution"


def test_channels_at_other_widths_keep_their_names_and_locks():
    images = layers.Input((2, 2, 3))
    spread = layers.Conv2D(1, 1, name="map")(images)
    x = layers.Conv2D(4, 1, name="a")(images)
    y = layers.Reshape((16,))(x * spread)
    channels = find_channels(tf_keras.Model(images, layers.Dense(2, name="out")(y)))
    narrower = channels.at({"a": 1})
    assert {group.name: group.filters for group in narrower.groups} == {"map": 1, "a": 1, "out": 2}
    assert [group.lock for group in narrower.groups] == [group.lock for group in channels.groups]
    assert narrower.weights["a"][0].shape == (1, 1, 3, 1)
    assert narrower.weights["out"][0].shape == (4, 2)
    assert narrower.spelled_out == {y.node.layer.name: 4 * (("a", 1),)}


def test_channels_whose_activity_is_regularised_are_locked_and_no_others():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, activity_regularizer="l2", name="own")(layers.Conv2D(4, 1, name="a")(images))
    x = layers.ReLU()(layers.Conv2D(4, 1, name="b")(x))
    x = layers.Conv2D(4, 1, name="c")(layers.ActivityRegularization(l1=0.1, name="passed")(x))
    x = layers.BatchNormalization(activity_regularizer="l1", name="normalised")(x)
    x = layers.Add(name="sum")([x, layers.DepthwiseConv2D(3, padding="same", name="free")(x)])
    x = layers.Conv2D(4, 1, name="d")(x)
    found = locks(tf_keras.Model(images, pooled(x)))
    reason = "regularises its activity, on which removed channels would still count"
    assert found == {
        "a": None,
        "own": f"own (Conv2D) {reason}",
        "b": f"passed (ActivityRegularization) {reason}",
        "c": f"normalised (BatchNormalization) {reason}",
        "d": None,
        "out": "the network's output",
    }


def test_penalties_that_are_no_sums_over_single_weights_are_locked():
    class Squared(regularizers.L2):
        """Of the user's own, whatever it does."""

    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, kernel_regularizer=regularizers.L1L2(0.1, 0.1), bias_regularizer="l1", name="a")(images)
    x = layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1")(x)
    x = layers.Conv2D(4, 1, name="c", bias_regularizer=Squared())(layers.Conv2D(4, 1, name="b")(x))
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 1, name="d")(x))
    x = layers.Dense(4, kernel_regularizer=regularizers.OrthogonalRegularizer(), name="e")(x)
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(x)))
    assert found["a"] is None
    assert found["b"] == found["c"] == "c (Conv2D) has a bias_regularizer of another kind than L1 and L2"
    assert found["d"] == found["e"] == "e (Dense) has a kernel_regularizer of another kind than L1 and L2"


@pytest.mark.parametrize(
    ("kernel", "bias", "reads", "writes"),
    [
        (constraints.NonNeg(), constraints.NonNeg(), False, False),
        (constraints.RadialConstraint(), None, False, False),
        (constraints.MaxNorm(), None, False, False),
        (constraints.UnitNorm([0, 1, 2]), None, False, False),
        (constraints.MinMaxNorm(axis=(0, 1, -1)), None, False, True),
        (constraints.MaxNorm(axis=None), None, False, True),
        (None, constraints.MaxNorm(), False, True),
        (lambda kernel: kernel, None, True, True),
    ],
)
def test_constraints_over_several_channels_are_locked(kernel, bias, reads, writes):
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="read")(images)
    x = layers.Conv2D(4, 3, kernel_constraint=kernel, bias_constraint=bias, name="bound")(x)
    found = locks(tf_keras.Model(images, pooled(x)))
    reason = "bound (Conv2D) has a constraint on weights of all of them together"
    assert found == {
        "read": reason if reads else None,
        "bound": reason if writes else None,
        "out": "the network's output",
    }


def test_a_constraint_over_channels_that_pass_is_locked():
    images = layers.Input((8, 8, 3))
    x = layers.DepthwiseConv2D(3, depthwise_constraint=constraints.MaxNorm(axis=2), name="bound")(
        layers.Conv2D(4, 1, name="a")(images)
    )
    x = layers.DepthwiseConv2D(3, depthwise_constraint="MaxNorm", name="free")(layers.Conv2D(4, 1, name="b")(x))
    found = locks(tf_keras.Model(images, pooled(x)))
    assert found["a"] == "bound (DepthwiseConv2D) has a constraint on weights of all of them together"
    assert found["b"] is None
