"""Keras -> `.tflite`, with a static batch of 1 (GPU delegates refuse a dynamic one).

The only module here that imports TensorFlow.
"""

from typing import Any

import tensorflow as tf

from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import UserError


def convert(network: Any) -> bytes:
    """Converts a network to a float32 `.tflite`.

    Args:
        network: a `tf_keras` functional model with one input of static height, width and channels.

    Returns:
        The bytes of the file; its input is float32 [1, H, W, C]. Its signature tells several outputs apart, which stand
        in the file in another order: output_0 is the network's first.

    Raises:
        UserError: the converter refuses the network.
    """
    shape = [1, *network.inputs[0].shape[1:]]  # [1, H, W, C]
    function = tf.function(lambda images: tf.nest.flatten(network(images, training=False)))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    try:
        with quiet_native_code():
            return tf.lite.TFLiteConverter.from_concrete_functions([concrete], network).convert()
    except Exception as error:  # the converter raises whatever its passes raise
        raise UserError(f"TensorFlow Lite's converter refuses {network.name}: {error}") from error
