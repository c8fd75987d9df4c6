"""Keras -> `.tflite`, with a static batch of 1 (GPU delegates refuse a dynamic one).

The only module here that imports TensorFlow.
"""

import re
from typing import Any

import numpy as np
import tensorflow as tf

from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.precision import check_calibration, check_integer

_COMPILER_ERROR = re.compile(r"error: (.+)")


def convert(network: Any, precision: str = "float32", calibration: np.ndarray | None = None) -> bytes:
    """Converts a network.

    Args:
        network: a `tf_keras` functional model with one input of static height, width and channels.
        precision: one of `precision.PRECISIONS`.
        calibration: images float32 [N, H, W, C] that tell int8 the range of every activation; None for a network
            that was trained quantisation-aware, which holds them.

    Returns:
        The bytes of the file; its input is float32, or int8, [1, H, W, C]. Its signature tells several outputs apart,
        which stand in the file in another order: output_0 is the network's first.

    Raises:
        UserError: the converter refuses the network, the images cannot calibrate it, or int8 lacks an operator of it.
    """
    shape = [1, *network.inputs[0].shape[1:]]  # [1, H, W, C]
    function = tf.function(lambda images: tf.nest.flatten(network(images, training=False)))
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], _holder(concrete))
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8
        if calibration is not None:
            check_calibration(calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
    try:
        with quiet_native_code():
            tflite = converter.convert()
    except Exception as error:  # the converter raises whatever its passes raise
        raise UserError(
            f"TensorFlow Lite's converter refuses {network.name} in precision {precision}: {_reason(error)}"
        ) from error
    if precision == "int8":
        check_integer(Graph(tflite), network.name)
    return tflite


def _holder(function: Any) -> tf.Module:
    """What the converter saves beside a function, its variables alone: of a network each layer would be traced anew."""
    holder = tf.Module()
    holder.held = list(function.variables)
    return holder


def _reason(error: Exception) -> str:
    """What is wrong, out of pages of compiler's notes."""
    text = str(error)
    found = _COMPILER_ERROR.search(text)
    return found[1] if found else text.strip().partition("\n")[0]
