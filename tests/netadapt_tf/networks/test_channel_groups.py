import tf_keras
from tf_keras import layers

from netadapt_tf.networks.channel_groups import find_channel_groups, widths_of
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths
from tests.tiny_training import classifier_trainer


def test_groups_of_mobilenet_v1():
    widths = mobilenet_v1_widths(0.25)
    groups = find_channel_groups(mobilenet_v1(widths, 32, 10))
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
    groups = find_channel_groups(mobilenet_v1(mobilenet_v1_widths(0.25), 32, 10))
    assert str(groups[1]) == (
        "conv_pw_1: 16 filters\n"
        "  written by conv_pw_1\n"
        "  through conv_pw_1_bn, conv_dw_2, conv_dw_2_bn\n"
        "  read by conv_pw_2"
    )
    assert "locked" in str(groups[-1])


def locks(network: tf_keras.Model) -> dict[str, str | None]:
    return {group.name: group.lock for group in find_channel_groups(network)}


def test_what_cannot_be_followed_is_locked_with_a_reason():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    y = layers.Conv2D(4, 1, name="b")(x)
    joined = layers.Add(name="join")([x, y])
    z = layers.Conv2D(8, 1, name="c")(joined)
    z = layers.Flatten(name="flat")(z)
    z = layers.Dense(6, name="d")(z)
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(z)))
    assert found["a"] == found["b"] == "join (Add) cannot be followed"
    assert found["c"] == "flat (Flatten) cannot be followed"
    assert found["d"] is None
    assert found["out"] == "the network's output"


def test_grouped_shared_and_cross_channel_layers_are_locked():
    images = layers.Input((8, 8, 3))
    shared = layers.Conv2D(4, 1, name="shared")
    a = layers.Conv2D(3, 1, name="a")(images)
    x = shared(shared(layers.Conv2D(4, 1, name="b")(a)))
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 1, name="c")(x))
    x = layers.Conv2D(4, 1, activation="softmax", name="softmaxed")(layers.Conv2D(4, 1, name="d")(x))
    x = layers.DepthwiseConv2D(1, depth_multiplier=2, name="multiplied")(layers.Conv2D(4, 1, name="e")(x))
    x = layers.Conv2D(4, 1, name="last")(x)
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(x))))
    assert found["a"] is None
    assert all("more than once" in str(found[name]) for name in ("b", "shared"))
    assert all("grouped" in str(found[name]) for name in ("c", "grouped"))
    assert "softmax" in str(found["softmaxed"])
    assert found["d"] is None, "a layer's own activation does not concern what it reads"
    assert "depth multiplier" in str(found["e"])
    assert found["last"] is None


def test_activations_that_are_layers_and_layers_shared_at_two_sizes():
    images = layers.Input((8, 8, 3))
    shared = layers.Conv2D(4, 1, name="shared")
    small = layers.GlobalMaxPooling2D()(shared(layers.MaxPooling2D()(images)))
    x = layers.Concatenate(name="join")([small, layers.GlobalMaxPooling2D()(shared(images))])
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(x)))
    assert "more than once" in str(found["shared"])
    y = layers.Conv2D(4, 1, activation=layers.LeakyReLU(), name="a")(layers.Conv2D(4, 1, name="b")(images))
    y = layers.Conv2D(4, 1, activation=layers.Softmax(), name="c")(y)
    found = locks(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(y))))
    assert found["a"] is found["b"] is None
    assert "Softmax" in str(found["c"])


def test_locked_groups_can_be_trained():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, groups=2, name="grouped")(layers.Conv2D(4, 1, name="a")(images))
    network = tf_keras.Model(images, layers.Dense(2, activation="softmax")(layers.GlobalMaxPooling2D()(x)))
    classifier_trainer(network, find_channel_groups(network)).set_masks({})


def test_reshape_of_single_positions_is_followed():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, name="a")(images)
    x = layers.Reshape((1, 1, 4), name="to_image")(layers.GlobalAveragePooling2D()(x))
    found = find_channel_groups(tf_keras.Model(images, layers.Conv2D(2, 1, name="out")(x)))
    assert widths_of(found) == {"a": 4}
    assert "to_image" in found[0].per_channel
