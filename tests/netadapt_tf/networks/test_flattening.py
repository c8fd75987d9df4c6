import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.flattening import laid_flat, nested_models
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from tests.netadapt_tf.networks.test_narrowing import images_for, masked, random_choice
from tests.tiny_networks import randomised
from tflite_bench.errors import UserError


def base() -> tf_keras.Model:
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, name="conv")(images)
    x = layers.BatchNormalization(name="bn")(x)
    return tf_keras.Model(images, layers.ReLU(name="relu")(x), name="base")


def transferred(training: bool | None = None) -> tf_keras.Model:
    """A nested model, as in transfer learning, and a nested Sequential behind it; one name occurs twice."""
    images = layers.Input((8, 8, 3), name="photo")
    x = base()(images, training=training)
    x = layers.Conv2D(5, 1, activation="relu", name="conv")(x)
    head = tf_keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(2)], name="head")
    return randomised(tf_keras.Model(images, head(x), name="transferred"))


def test_a_nested_network_answers_as_before_and_its_channels_are_followed():
    network = transferred()
    flat = laid_flat(network)
    images = images_for(network)
    np.testing.assert_allclose(flat(images), network(images), atol=1e-6)
    assert flat.name == "transferred"
    assert find_channels(flat).widths == {"base_conv": 6, "conv": 5}
    kept = random_choice(flat, 3)
    np.testing.assert_allclose(narrow(flat, find_channels(flat), kept)(images), masked(flat, kept)(images), atol=1e-4)


def test_the_original_is_left_alone():
    network = transferred()
    before = [len(layer._inbound_nodes) for layer in network.layers]
    laid_flat(network)
    assert [len(layer._inbound_nodes) for layer in network.layers] == before
    assert [layer.name for layer in nested_models(network)] == ["base", "head"]


@pytest.mark.parametrize("training", [None, False])
def test_what_a_model_was_called_with_its_layers_are_called_with(training):
    network = transferred(training)
    flat = laid_flat(network)
    images = images_for(network, 16)
    batch_norm = flat.get_layer("bn")
    before = batch_norm.moving_mean.numpy()
    flat(images, training=True)
    assert np.array_equal(batch_norm.moving_mean.numpy(), before) == (training is False)


def test_so_are_arguments_by_position_and_what_a_layer_is_told_itself_counts_more():
    images = layers.Input((8, 8, 3))
    inner = layers.Input((8, 8, 3))
    told = layers.BatchNormalization(name="told")(layers.BatchNormalization(name="untold")(inner), True)
    model = tf_keras.Model(inner, told, name="inner")
    network = tf_keras.Model(images, model(images, False))
    flat = laid_flat(network)
    before = {name: flat.get_layer(name).moving_mean.numpy() for name in ("told", "untold")}
    flat(images_for(network, 16) + 1, training=True)
    changed = {name: not np.array_equal(flat.get_layer(name).moving_mean, mean) for name, mean in before.items()}
    assert changed == {"told": True, "untold": False}


class Halved(tf_keras.Model):
    """Not what its graph says."""

    def call(self, x, training=None, mask=None):
        return super().call(x, training, mask) / 2.0


def test_a_nested_model_that_computes_something_else_than_its_graph_stays_one():
    inner = layers.Input((6, 6, 3))
    halved = Halved(inner, layers.Conv2D(4, 1, name="hidden")(inner), name="halved")
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="conv")(base()(images))
    network = randomised(tf_keras.Model(images, layers.GlobalMaxPooling2D()(halved(x))))
    flat = laid_flat(network)
    batch = images_for(network)
    np.testing.assert_allclose(flat(batch), network(batch), atol=1e-6)
    assert find_channels(flat).widths == {"base_conv": 6}


def test_weights_that_a_wrapper_shares_are_not_untied():
    dense = layers.Dense(3, name="dense")
    inner = layers.Input((8, 8, 3))
    model = tf_keras.Model(inner, layers.Conv2D(3, 1)(layers.TimeDistributed(dense)(inner)), name="inner")
    images = layers.Input((8, 8, 3))
    network = tf_keras.Model(images, layers.Add()([model(images), dense(images)]))
    with pytest.raises(UserError, match="share weights with a wrapper's"):
        laid_flat(network)


def test_a_model_that_is_used_twice_is_shared():
    images = layers.Input((8, 8, 3))
    twin = base()
    x = layers.Concatenate()([twin(images), twin(layers.ReLU()(images))])
    network = randomised(tf_keras.Model(images, layers.Dense(2, name="out")(layers.GlobalMaxPooling2D()(x))))
    flat = laid_flat(network)
    batch = images_for(network)
    np.testing.assert_allclose(flat(batch), network(batch), atol=1e-6)
    assert flat.count_params() == network.count_params()
    assert find_channels(flat).widths == {"conv": 6}


def test_models_within_models_load_flat(tmp_path):
    images = layers.Input((8, 8, 3))
    network = tf_keras.Model(images, layers.Softmax()(transferred()(images)))
    network.save(tmp_path / "nested.keras")
    loaded = load_network(tmp_path / "nested.keras")
    assert not nested_models(loaded)
    batch = images_for(network)
    np.testing.assert_allclose(loaded(batch), network(batch), atol=1e-6)
    save_network(loaded, tmp_path / "flat.keras")
    np.testing.assert_allclose(load_network(tmp_path / "flat.keras")(batch), network(batch), atol=1e-6)


def test_a_network_without_nested_models_is_itself(cnn):
    assert laid_flat(cnn) is cnn


class Doubled(layers.Layer):
    """A layer of the user's own, which Keras does not know."""

    def call(self, x):
        return 2.0 * x


@pytest.mark.parametrize("own", [Doubled, lambda: layers.Lambda(lambda x: 2.0 * x)])
def test_python_code_in_a_nested_model_is_laid_flat_with_it(own):
    inner = layers.Input((8, 8, 3))
    model = tf_keras.Model(inner, own()(layers.Conv2D(4, 1)(inner)), name="inner")
    images = layers.Input((8, 8, 3))
    network = tf_keras.Model(images, layers.GlobalMaxPooling2D()(model(images)))
    batch = images_for(network)
    np.testing.assert_allclose(laid_flat(network)(batch), network(batch), atol=1e-6)


def test_a_layer_inside_and_outside_of_a_model_stays_one():
    shared = layers.Conv2D(3, 1, name="shared")
    inner = layers.Input((8, 8, 3))
    model = tf_keras.Model(inner, layers.ReLU()(shared(inner)), name="inner")
    images = layers.Input((8, 8, 3))
    network = randomised(tf_keras.Model(images, layers.GlobalMaxPooling2D()(model(shared(images)))))
    flat = laid_flat(network)
    batch = images_for(network)
    np.testing.assert_allclose(flat(batch), network(batch), atol=1e-6)
    assert flat.count_params() == network.count_params()


def test_a_name_in_front_may_be_taken_too():
    inner = layers.Input((8, 8, 3))
    model = tf_keras.Model(inner, layers.Conv2D(4, 1, name="conv")(inner), name="inner")
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(3, 1, name="inner_conv")(layers.Conv2D(3, 1, name="conv")(images))
    flat = laid_flat(tf_keras.Model(images, model(x)))
    assert [layer.name for layer in flat.layers[1:]] == ["conv", "inner_conv", "inner_conv_1"]
