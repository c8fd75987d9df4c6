import numpy as np
import pytest
import tf_keras
from tf_keras import layers

from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from tests.tiny_networks import randomised, tiny_cnn
from tests.tiny_training import classifier_trainer


def random_choice(network: tf_keras.Model, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        name: np.sort(generator.choice(filters, generator.integers(1, filters + 1), replace=False))
        for name, filters in find_channels(network).widths.items()
    }


def images_for(network: tf_keras.Model, count: int = 4) -> np.ndarray:
    return np.random.default_rng(9).uniform(-1, 1, (count, *network.input_shape[1:])).astype(np.float32)


def masked(network: tf_keras.Model, kept: dict[str, np.ndarray]) -> tf_keras.Model:
    """A copy whose removed channels are read by nobody."""
    copy = tf_keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    classifier_trainer(copy, find_channels(copy)).set_masks(kept)
    return copy


@pytest.mark.parametrize("seed", range(4))
def test_masked_and_narrowed_mobilenets_answer_alike(mobilenet, seed):
    kept = random_choice(mobilenet, seed)
    narrower = narrow(mobilenet, find_channels(mobilenet), kept)
    images = images_for(mobilenet)
    answers = masked(mobilenet, kept)(images).numpy()
    np.testing.assert_allclose(narrower(images), answers, atol=1e-4)
    assert np.abs(answers - mobilenet(images).numpy()).max() > 1e-2, "the removed channels did not matter"


@pytest.mark.parametrize("seed", range(8))
def test_masked_and_narrowed_with_biases_and_sigmoids_answer_alike(cnn, seed):
    kept = random_choice(cnn, seed)
    images = images_for(cnn)
    np.testing.assert_allclose(narrow(cnn, find_channels(cnn), kept)(images), masked(cnn, kept)(images), atol=1e-4)


def test_narrowing_through_a_reshape():
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(6, 1, name="a")(images)
    x = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))
    x = layers.Reshape((2,))(layers.Conv2D(2, 1, name="out")(x))
    network = randomised(tf_keras.Model(images, x))
    kept = {"a": np.array([1, 4])}
    batch = images_for(network)
    np.testing.assert_allclose(
        narrow(network, find_channels(network), kept)(batch), masked(network, kept)(batch), atol=1e-4
    )


@pytest.mark.parametrize("shared_axes", [None, [1, 2], [3], [0], [-1]])
def test_narrowing_through_a_prelu(shared_axes):
    images = layers.Input((4, 4, 3))
    x = layers.PReLU(shared_axes=shared_axes)(layers.Conv2D(6, 1, name="a")(images))
    network = randomised(tf_keras.Model(images, layers.Conv2D(2, 1, name="out")(x)))
    kept = {"a": np.array([1, 4])}
    batch = images_for(network)
    np.testing.assert_allclose(
        narrow(network, find_channels(network), kept)(batch), masked(network, kept)(batch), atol=1e-4
    )


def test_narrower_networks_save_load_and_narrow_again(cnn, tmp_path):
    narrower = narrow(cnn, find_channels(cnn), {"first": np.array([0, 2, 5, 7])})
    save_network(narrower, tmp_path / "network.keras")
    loaded = load_network(tmp_path / "network.keras")
    images = images_for(cnn)
    np.testing.assert_allclose(loaded(images), narrower(images), atol=1e-6)
    again = narrow(loaded, find_channels(loaded), {"first": np.array([1, 3])})
    direct = narrow(cnn, find_channels(cnn), {"first": np.array([2, 7])})
    np.testing.assert_allclose(again(images), direct(images), atol=1e-6)


def test_the_original_is_left_alone(cnn):
    before = [weights.copy() for weights in cnn.get_weights()]
    narrow(cnn, find_channels(cnn), {"first": np.array([0])})
    for old, new in zip(before, cnn.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("seed", range(3))
def test_parameters_are_counted_without_building(mobilenet, seed):
    channels = find_channels(mobilenet)
    kept = random_choice(mobilenet, seed)
    widths = {name: len(indices) for name, indices in kept.items()}
    assert channels.parameters(widths) == narrow(mobilenet, channels, kept).count_params()


def regularised_cnn() -> tf_keras.Model:
    """Weights that are penalised and constrained wherever that leaves channels free, and a locked group in between."""
    penalty, norm = tf_keras.regularizers.L1L2(0.05, 0.05), tf_keras.constraints.MaxNorm
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", kernel_regularizer=penalty, bias_regularizer="l2", name="first")(images)
    x = layers.BatchNormalization(gamma_regularizer="l1", beta_regularizer="l2", beta_constraint="NonNeg")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depthwise_regularizer=penalty, depthwise_constraint=norm(0.3))(x)
    x = layers.Conv2D(6, 1, activation="tanh", activity_regularizer="l2", name="locked")(x)
    x = layers.Conv2D(12, 1, kernel_constraint=norm(0.5, [0, 1, 2]), kernel_regularizer=penalty, name="second")(x)
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(5.0)(x))  # gradients worth constraining
    x = layers.Dense(4, activation="softmax", kernel_constraint=norm(0.4), kernel_regularizer=penalty, name="out")(x)
    return randomised(tf_keras.Model(images, x))


@pytest.mark.parametrize("build", [tiny_cnn, regularised_cnn])
def test_training_step_changes_kept_weights_alike(build):
    network = build()
    channels = find_channels(network)
    kept = {"first": np.array([0, 3, 4, 6]), "second": np.array([1, 2, 8, 9, 11])}
    images = images_for(network, 16)
    labels = np.arange(16) % 4
    narrower = narrow(network, channels, kept)
    wide_trainer = classifier_trainer(network, channels)
    wide_trainer.restart(network.get_weights(), kept, seed=0)
    before = narrower.get_weights()
    narrow_trainer = classifier_trainer(narrower)
    batch = [(images, labels)] * 3
    wide_trainer.fit(batch, 3, lambda step: 0.1)
    narrow_trainer.fit(batch, 3, lambda step: 0.1)
    trained_then_cut = narrow(network, channels, kept).get_weights()
    for cut, direct, old in zip(trained_then_cut, narrower.get_weights(), before, strict=True):
        np.testing.assert_allclose(cut, direct, atol=1e-4)
        assert np.abs(direct - old).max() > 1e-4, "a weight that training does not change proves nothing"
    reader = next(group.readers[0] for group in channels.groups if group.name == "first")
    masked_rows = network.get_layer(reader).get_weights()[0][:, :, [1, 2, 5, 7], :]
    assert np.all(masked_rows == 0), "a removed channel was read again after a training step"
