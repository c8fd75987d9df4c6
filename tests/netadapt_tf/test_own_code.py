"""Networks, losses and data sets that bring Python code of their own, here and in workers."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf import Datasets, Metric, Place, UserError, adapt_network
from tests.tiny_adaptation import QUICK
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import corner_datasets

TWO = Place("processes", workers=2)

layers = tf_keras.layers


@tf_keras.saving.register_keras_serializable("tests")
class Halves(tf_keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **_):
        return tf.random.uniform(shape, -0.5, 0.5)


class Gentle(tf_keras.regularizers.Regularizer):
    def __call__(self, x):
        return 0.01 * tf.reduce_sum(x * x)

    def get_config(self):
        return {}


def steep(x):
    return tf.nn.relu(1.5 * x)


class Scaled(tf_keras.layers.Layer):
    """Does not say in its configuration what it was made with."""

    def __init__(self, by: Any, **more: Any) -> None:
        super().__init__(**more)
        self._by = by

    def call(self, x):
        return self._by * x if isinstance(self._by, float) else x


def network(inner: tf_keras.layers.Layer | None = None, **settings: Any) -> tf_keras.Model:
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(12, 3, name="a", **settings)(images)
    x = inner(x) if inner else x
    x = layers.Conv2D(12, 3, name="b", activation="relu")(x)
    return tf_keras.Model(images, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "constraint"),
    [(TWO, None), (Place("ray", workers=2), lambda: local_constraint())],
    ids=["processes", "ray"],
)
def test_workers_find_the_same_network_as_the_process_that_knows_what_is_the_users_own(tmp_path, place, constraint):
    tf_keras.utils.set_random_seed(0)
    settings = {"kernel_initializer": Halves(), "bias_regularizer": Gentle(), "activation": steep}
    own = network(**settings, kernel_constraint=constraint and constraint())
    found = []
    for where in (Place(), place):
        arguments = own, corner_datasets, ["macs=60%"], tmp_path / where.executor
        found.append(adapt_network(*arguments, settings=QUICK, allow_lambda=True, place=where))
    here, there = found
    assert here.widths == there.widths
    assert isinstance(there.network.get_layer("a").kernel_initializer, Halves)
    for a, b in zip(here.network.get_weights(), there.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def local_constraint() -> tf_keras.constraints.Constraint:
    class Bounded(tf_keras.constraints.Constraint):
        def __call__(self, w):
            return tf.clip_by_value(w, -1.0, 1.0)

    return Bounded()


def local_initializer() -> tf_keras.initializers.Initializer:
    class Local(tf_keras.initializers.Zeros):
        pass

    return Local()


def without_pickle(task_part: Any) -> Any:
    return lambda *arguments: task_part(*arguments)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"own": {"kernel_initializer": local_initializer()}}, "the class local_initializer.<locals>.Local of"),
        ({"loss": without_pickle(tf_keras.losses.sparse_categorical_crossentropy)}, "the loss"),
        ({"metric": Metric("a", without_pickle(tf_keras.metrics.SparseCategoricalAccuracy))}, "the metric"),
        ({"datasets": lambda: corner_datasets()}, "the datasets"),
    ],
)
def test_what_cannot_be_sent_to_workers_is_named_before_anything_is_written(tmp_path, change, said):
    asked: dict[str, Any] = {"datasets": corner_datasets, "budgets": ["macs=60%"], "settings": QUICK} | change
    asked["network"] = network(**asked.pop("own", {}))
    with pytest.raises(UserError) as error:
        adapt_network(**asked, run_dir=tmp_path / "run", place=TWO, allow_lambda=True)
    assert said in str(error.value)
    assert "cannot be sent to other processes" in str(error.value)
    assert "give functions and classes that a module defines by name, or take the executor serial" in str(error.value)
    assert not (tmp_path / "run").exists()


def test_data_sets_as_they_are_are_refused_before_anything_is_written(tmp_path):
    data: Datasets = corner_datasets()
    with pytest.raises(UserError, match="the executor processes sends the data set to other processes"):
        adapt_network(tiny_cnn(), data, ["macs=60%"], tmp_path / "run", settings=QUICK, place=TWO)
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize(
    ("own", "layer"),
    [
        ({"activation": lambda x: 2 * x}, "a"),
        ({"inner": Scaled(2.0, name="scaled")}, "scaled"),
        ({"inner": Scaled(np.float32, name="scaled")}, "scaled"),
    ],
    ids=["a lambda as an activation", "a configuration without the name", "no configuration"],
)
def test_a_layer_that_no_copy_can_be_made_of_is_named(tmp_path, own, layer):
    settings = dataclasses.replace(QUICK, short_term_steps=1)
    with pytest.raises(UserError, match=f"the layer {layer} cannot be built anew from its configuration"):
        adapt_network(
            network(**own), corner_datasets(), ["macs=60%"], tmp_path / "run", settings=settings, allow_lambda=True
        )
    assert not (tmp_path / "run").exists()
