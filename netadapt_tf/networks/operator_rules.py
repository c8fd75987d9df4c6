"""What operators do with channels that Keras makes layers of: `x * y`, `x + 3.0`, `tf.nn.relu6(x)`, and their like."""

from typing import Any

import numpy as np
import tensorflow as tf

from netadapt_tf.networks.channel_groups import Layout
from netadapt_tf.networks.joins import concatenated, joined
from netadapt_tf.networks.trace import Call, CannotFollowError, Trace, Traced

_ELEMENTWISE = {
    *("math.abs", "math.exp", "math.log", "math.negative", "math.reciprocal", "math.rsqrt", "math.sigmoid"),
    *("math.softplus", "math.sqrt", "math.square", "math.tanh", "identity", "stop_gradient", "clip_by_value", "cast"),
    *("nn.elu", "nn.gelu", "nn.leaky_relu", "nn.relu", "nn.relu6", "nn.selu", "nn.silu", "nn.softsign", "nn.swish"),
    *("math.add", "math.divide", "math.maximum", "math.minimum", "math.multiply", "math.pow", "math.subtract"),
    *("math.squared_difference", "math.truediv"),
    *(f"__operators__.{name}" for name in ("add", "mul", "neg", "pow", "radd", "rmul", "rsub", "rtruediv", "sub")),
    "__operators__.truediv",
}
_OVER_SPACE = {"math.reduce_max", "math.reduce_mean", "math.reduce_min", "math.reduce_sum"}
_NOT_VALUES = {"name", "dtype"}


def operator(call: Call, trace: Trace) -> Layout:
    """The layout of what an operator computes.

    Raises:
        CannotFollowError: the channels that reach it must stay.
    """
    symbol, described = call.layer.symbol, f"{call.layer.name} (operator {call.layer.symbol})"
    if symbol in _ELEMENTWISE:
        return _elementwise(call, described, trace)
    if symbol in _OVER_SPACE and _reduces_space(call):
        return call.inputs[0].layout
    if symbol == "concat":
        return _concatenation(call, described, trace)
    if symbol == "image.resize" and len(call.inputs) == 1:
        return call.inputs[0].layout
    raise CannotFollowError(f"{described} cannot be followed")


def _elementwise(call: Call, described: str, trace: Trace) -> Layout:
    values = [*call.args, *(value for name, value in call.kwargs.items() if name not in _NOT_VALUES)]
    if any(not isinstance(value, Traced) and np.ndim(value) for value in values):
        raise CannotFollowError(f"{described} has a constant for each channel")
    if len({len(tensor.shape) for tensor in call.inputs}) != 1:
        raise CannotFollowError(f"{described} joins tensors of unlike ranks")
    return joined(call.inputs, call.layer, trace)


def _concatenation(call: Call, described: str, trace: Trace) -> Layout:
    values, axis = _argument(call, 0, "values"), _argument(call, 1, "axis")
    if not all(isinstance(value, Traced) for value in tf.nest.flatten(values)):
        raise CannotFollowError(f"{described} is called with constants")
    if not isinstance(axis, int):
        raise CannotFollowError(f"{described} stacks along an axis that is not fixed")
    return concatenated(call.inputs, axis, call.layer, trace)


def _reduces_space(call: Call) -> bool:
    """Whether a reduction leaves the channels, and the batch, alone."""
    axes = np.asarray(_argument(call, 1, "axis"))
    if len(call.inputs) != 1 or axes.dtype.kind != "i":
        return False
    rank = len(call.inputs[0].shape)
    return rank > 0 and {axis % rank for axis in axes.flat}.isdisjoint({0, rank - 1})


def _argument(call: Call, position: int, name: str) -> Any:
    return call.args[position] if len(call.args) > position else call.kwargs.get(name)
