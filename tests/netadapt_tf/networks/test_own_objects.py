"""Initializers, regularizers, constraints, activations and layers of the user's own: copies of a network have them."""

import pickle
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.files import checked
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.own_objects import own_objects
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.problem import readable
from netadapt_tf.search.executors.worker import Parcel
from netadapt_tf.search.short_term import Stage
from tflite_bench.errors import UserError

layers = tf_keras.layers


class Sevens(tf_keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **_):
        return tf.fill(shape, 7.0)


class Gentle(tf_keras.regularizers.Regularizer):
    def __call__(self, x):
        return 0.01 * tf.reduce_sum(x * x)

    def get_config(self):
        return {}


class Bounded(tf_keras.constraints.Constraint):
    def __call__(self, w):
        return tf.clip_by_value(w, -1.0, 1.0)


class Doubled(tf_keras.layers.Layer):
    def call(self, x):
        return 2.0 * x


def steep(x):
    return tf.nn.relu(1.5 * x)


@tf_keras.saving.register_keras_serializable("tests")
def registered_steep(x):
    return steep(x)


@tf_keras.saving.register_keras_serializable("tests")
class RegisteredSevens(Sevens):
    pass


@tf_keras.saving.register_keras_serializable("tests", name="OtherName")
class Renamed(Gentle):
    pass


def network(inner: tf_keras.layers.Layer | None = None, **settings: Any) -> tf_keras.Model:
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, name="a", **settings)(images)
    x = inner(x) if inner else x
    x = layers.Conv2D(8, 3, name="b", activation="relu")(x)
    return tf_keras.Model(images, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


OWN = {
    "initializer": ({"kernel_initializer": Sevens()}, {"Sevens"}),
    "regularizer": ({"kernel_regularizer": Gentle()}, {"Gentle"}),
    "constraint": ({"kernel_constraint": Bounded()}, {"Bounded"}),
    "activation": ({"activation": steep}, {"steep"}),
    "layer as an activation": ({"activation": Doubled(name="inside")}, {"Doubled"}),
    "registered activation": ({"activation": registered_steep}, {"registered_steep", "tests>registered_steep"}),
    "registered initializer": (
        {"kernel_initializer": RegisteredSevens()},
        {"RegisteredSevens", "tests>RegisteredSevens"},
    ),
    "registered under another name": ({"bias_regularizer": Renamed()}, {"Renamed", "tests>OtherName"}),
    "layer": ({"inner": Doubled()}, {"Doubled"}),
    "layer in a layer": ({"inner": layers.TimeDistributed(Doubled())}, {"Doubled"}),
    "none": ({"kernel_initializer": "he_normal", "kernel_regularizer": tf_keras.regularizers.L2(0.1)}, set()),
    "function in a Lambda": ({"inner": layers.Lambda(steep)}, set()),
}


@pytest.mark.parametrize(("settings", "names"), OWN.values(), ids=OWN.keys())
def test_copies_have_what_is_the_users_own_here_and_in_a_worker(monkeypatch, settings, names):
    original = checked(network(**settings), "the network")
    assert set(own_objects(original.layers)) == names
    with readable(original, allow_lambda=True):
        channels = find_channels(original)
        copy = narrow(original, channels, {})
        sent = pickle.dumps(Parcel.of(Stage(1, copy, channels, {})))
    monkeypatch.setattr("tf_keras.src.saving.object_registration._GLOBAL_CUSTOM_OBJECTS", {})  # as in a new process
    there = pickle.loads(sent).opened().network
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    for one in (copy, there):
        np.testing.assert_array_equal(one(images), original(images))
        np.testing.assert_array_equal(len(one.losses), len(original.losses))
        for name, setting in settings.items():
            if name != "inner" and not isinstance(setting, str):
                assert type(getattr(one.get_layer("a"), name)) is type(setting)


class Drawn(Sevens):
    def __call__(self, shape, dtype=None, **_):
        return tf.random.uniform(shape)


def test_an_initializer_may_draw_without_a_seed_in_a_worker():
    tf.random.set_seed(3)
    original = network(kernel_initializer=Drawn())
    parcel = Parcel.of(Stage(1, original, find_channels(original), {}))
    tf.random.set_seed(None)  # as in a new process
    try:
        there = parcel.opened().network
        np.testing.assert_array_equal(there.get_weights()[0], original.get_weights()[0])
        drawn = tf.random.uniform([3]).numpy()
    finally:
        tf.random.set_seed(3)
    np.testing.assert_array_equal(drawn, tf.random.uniform([3]).numpy(), "building the network has drawn from it")


class ByName(tf_keras.layers.Layer):
    """Does not hold what its configuration names."""

    def get_config(self):
        return {**super().get_config(), "with": {"class_name": "function", "config": "slope"}}


def test_what_only_a_scope_knows_is_found_there():
    with tf_keras.saving.custom_object_scope({"slope": tf.nn.relu, "not asked for": steep}):
        assert own_objects([ByName()]) == {"ByName": ByName, "slope": tf.nn.relu}


def test_nested_models_are_laid_flat_with_what_is_the_users_own():
    inner = network(kernel_initializer=Sevens(), activation=steep)
    images = layers.Input((8, 8, 3))
    flat = checked(tf_keras.Model(images, layers.Softmax()(inner(images))), "the network")
    assert isinstance(flat.get_layer("a").kernel_initializer, Sevens)
    assert flat.get_layer("a").activation is steep


def relu(x):
    return -x


def test_a_function_called_as_one_of_keras_is_refused():
    with pytest.raises(UserError, match=r"relu of .*test_own_objects \(in a\) is called as something of Keras' own"):
        own_objects(network(activation=relu).layers)


class GlorotUniform(Sevens):
    pass


def test_an_initializer_called_as_one_of_keras_is_refused_and_a_layer_where_both_are_there():
    with pytest.raises(UserError, match=r"GlorotUniform of .* is called as something of Keras' own"):
        own_objects(network(kernel_initializer=GlorotUniform()).layers)
    dense = type("Dense", (Doubled,), {})
    with pytest.raises(UserError, match=r"two things called Dense, of tf_keras\..* and of "):
        own_objects(network(inner=dense()).layers)
    images = layers.Input((8, 8, 3))
    assert own_objects(tf_keras.Model(images, dense()(layers.Conv2D(8, 3)(images))).layers) == {"Dense": dense}


def test_two_of_the_same_name_are_refused():
    def other():
        class Sevens(tf_keras.initializers.Zeros):
            pass

        return Sevens()

    both = network(kernel_initializer=Sevens(), inner=layers.Conv2D(8, 1, kernel_initializer=other(), name="c"))
    with pytest.raises(UserError, match=r"two things called Sevens, of .* and of .*; rename one"):
        own_objects(both.layers)
