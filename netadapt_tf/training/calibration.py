"""The images that tell an int8 network the range of every activation."""

import numpy as np
import tensorflow as tf
import tf_keras

from netadapt_tf.training.datasets import Shuffled, epoch
from tflite_bench.precision import MIN_CALIBRATION_IMAGES

_SEED = 0


def calibration_images(dataset: tf.data.Dataset | Shuffled, count: int) -> np.ndarray:
    """The first images of one epoch.

    Args:
        dataset: of batches (images float32 [B, H, W, C], targets).
        count: how many; fewer, where the set has no more.

    Returns:
        float32 [N, H, W, C].
    """
    images = epoch(dataset, _SEED).map(lambda images, _: images).unbatch().take(count)
    return np.stack(list(images.as_numpy_iterator()))  # [N, H, W, C]


def noise(network: tf_keras.Model) -> np.ndarray:
    """Images for a network whose latency matters and whose answers do not, float32 [N, H, W, C]."""
    shape = (MIN_CALIBRATION_IMAGES, *network.input_shape[1:])
    return np.random.default_rng(_SEED).uniform(-1, 1, shape).astype(np.float32)
