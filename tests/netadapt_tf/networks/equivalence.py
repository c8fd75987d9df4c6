"""Whether a narrower network computes what the wide one does whose removed channels are read by nobody."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import Channels, Kept, indices_of
from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.training.task import ACCURACY, Task
from netadapt_tf.training.trainer import Trainer

TOLERANCE = 1e-4
"""The largest difference of two outputs, relative to the largest of their numbers."""


class Equivalence:
    """One network, narrowed and masked in several ways."""

    def __init__(self, network: tf_keras.Model, channels: Channels) -> None:
        self.network = network
        self.channels = channels
        self._weights = network.get_weights()
        task = Task(tf_keras.losses.MeanSquaredError(), ACCURACY)  # it is not trained
        self._trainer = Trainer(network, task, (tf.TensorSpec(None), tf.TensorSpec(None)), channels)
        shape = (3, *network.input_shape[1:])
        self._images = np.random.default_rng(9).uniform(-1, 1, shape).astype(np.float32)
        self._whole = self.answers(network)

    def answers(self, network: tf_keras.Model) -> list[np.ndarray]:
        """All outputs, for the same images always."""
        return [np.asarray(answer) for answer in tf.nest.flatten(network(self._images))]

    def assert_narrowed(self, kept: Kept) -> tf_keras.Model:
        """Narrows the network, which must answer as the masked one does, and returns it."""
        narrower = narrow(self.network, self.channels, kept)
        assert_alike(self.answers(narrower), self.masked(kept))
        return narrower

    def masked(self, kept: Kept) -> list[np.ndarray]:
        """Outputs of the network whose removed channels are read by nobody; the network is left as it was."""
        self._trainer.set_masks(kept)
        answers = self.answers(self.network)
        self.network.set_weights(self._weights)
        return answers

    def assert_learns_alike(self, narrower: tf_keras.Model, kept: Kept) -> None:
        """What stays in the masked network has the gradients that it has in the narrower one, penalties included."""
        self._trainer.set_masks(kept)
        masked, direct = self._gradients(self.network), self._gradients(narrower)
        self.network.set_weights(self._weights)
        scale = max([1e-3, *(float(np.abs(gradient).max()) for gradient in direct.values())])
        assert masked.keys() == direct.keys()
        for (layer, number), gradient in masked.items():
            for at, axis in self.channels.weights[layer][number].axes.items():
                gradient = np.take(gradient, indices_of(axis.layout, kept), at)
            np.testing.assert_allclose(gradient, direct[layer, number], rtol=0, atol=10 * TOLERANCE * scale)

    def _gradients(self, network: tf_keras.Model) -> dict[tuple[str, int], np.ndarray]:
        """Those of all weights that are trained, by layer and number, of a loss and the network's own penalties."""
        variables = {
            (layer.name, number): weight
            for layer in network.layers
            for number, weight in enumerate(layer.weights)
            if weight.trainable
        }
        with tf.GradientTape() as tape:
            losses = [tf.reduce_mean(answer**2) for answer in tf.nest.flatten(network(self._images))]
            loss = tf.add_n([*losses, *network.losses])
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        return {name: gradient.numpy() for name, gradient in gradients.items()}

    def matters(self, kept: Kept) -> bool:
        """Whether the outputs change, far beyond the tolerance, where channels are removed."""
        pairs = zip(self.masked(kept), self._whole, strict=True)
        return any(np.abs(masked - whole).max() > 100 * TOLERANCE * np.abs(whole).max() for masked, whole in pairs)


def assert_alike(answers: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Every output equals another one's."""
    for answer, other in zip(answers, expected, strict=True):
        assert np.all(np.isfinite(other))
        np.testing.assert_allclose(answer, other, rtol=0, atol=TOLERANCE * max(np.abs(other).max(), 1e-3))


def random_kept(channels: Channels, seed: int, least: int = 1) -> dict[str, np.ndarray]:
    """Some filters of each group that can shrink, at least so many where there are."""
    generator = np.random.default_rng(seed)
    return {
        name: np.sort(generator.choice(filters, generator.integers(min(least, filters), filters + 1), replace=False))
        for name, filters in channels.widths.items()
    }


def single_kept(channels: Channels, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Each group that can shrink, with half of its filters, all others being whole."""
    generator = np.random.default_rng(seed)
    for name, filters in channels.widths.items():
        if filters > 1:
            yield {name: np.sort(generator.choice(filters, filters // 2, replace=False))}


def saved_and_loaded(network: tf_keras.Model, folder: Path) -> tf_keras.Model:
    """The network from its own file, read as users' files are."""
    save_network(network, folder / "network.keras")
    return load_network(folder / "network.keras")
