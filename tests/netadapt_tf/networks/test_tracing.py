import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

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
    assert found["g"] == "tf.nn.softmax (operator nn.softmax) cannot be followed"
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
