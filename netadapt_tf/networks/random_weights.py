"""Weights that stand for those of any trained network, where only the time that layers take is of interest."""

import numpy as np
import tf_keras

_SCALE = 0.1


def randomise(network: tf_keras.Model) -> None:
    """Gives every weight a value of its own.

    The converter merges equal constants and leaves out biases of nothing but zeros, which trained networks do not have.
    """
    generator = np.random.default_rng(0)
    network.set_weights([np.abs(generator.normal(scale=_SCALE, size=w.shape)) for w in network.get_weights()])
