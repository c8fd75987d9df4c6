"""What each kind of Keras layer does with channels: writes them, passes them on, ties or stacks them, reads them."""

from collections.abc import Callable, Mapping
from types import NoneType

import numpy as np
import tensorflow as tf
from tf_keras import activations, layers
from tf_keras.src.layers.core import TFOpLambda

from netadapt_tf.networks.channel_groups import Layout, Role
from netadapt_tf.networks.joins import concatenated, flattened, joined
from netadapt_tf.networks.operator_rules import operator
from netadapt_tf.networks.trace import Call, CannotFollowError, Trace, Traced, described
from netadapt_tf.networks.training_rules import tying_regularizer

Rule = Callable[[Call, Trace], Layout]
"""The layout of what the call computes.

Raises:
    CannotFollowError: the channels that reach it must stay.
"""

_PER_CHANNEL_FUNCTIONS = (
    *(activations.elu, activations.exponential, activations.gelu, activations.hard_sigmoid, activations.linear),
    *(activations.mish, activations.relu, activations.selu, activations.sigmoid, activations.softplus),
    *(activations.softsign, activations.swish, activations.tanh),
    *(tf.nn.elu, tf.nn.gelu, tf.nn.leaky_relu, tf.nn.relu, tf.nn.relu6, tf.nn.selu, tf.nn.sigmoid, tf.nn.silu),
    *(tf.nn.softplus, tf.nn.softsign, tf.nn.swish, tf.nn.tanh),
    *map(activations.get, ("leaky_relu", "relu6")),  # as files bring them back
)
_PER_CHANNEL_LAYERS = (layers.ELU, layers.LeakyReLU, layers.ReLU, layers.ThresholdedReLU)


def follow(call: Call, trace: Trace) -> Layout:
    """The layout of what a layer computes; what it does is noted in the trace.

    Raises:
        CannotFollowError: the channels that reach the layer must stay.
    """
    layer = call.layer
    rule = _RULES.get(type(layer))
    if rule is None or not call.inputs:
        raise CannotFollowError(f"{described(layer)} cannot be followed")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise CannotFollowError(f"{described(layer)} keeps channels first")
    if getattr(layer, "groups", 1) != 1:
        raise CannotFollowError(f"{described(layer)} is a grouped convolution")
    if not isinstance(layer, TFOpLambda) and not all(
        isinstance(value, (Traced, bool, NoneType)) for value in tf.nest.flatten([call.args, call.kwargs])
    ):
        raise CannotFollowError(f"{described(layer)} is called with constants")
    if any(np.ndim(getattr(value, "value", 0)) for name, value in vars(layer).items() if name.endswith("_initializer")):
        raise CannotFollowError(f"{described(layer)} spells out its initial weights")
    regularizer = tying_regularizer(layer)
    if regularizer is not None:
        raise CannotFollowError(f"{described(layer)} has a {regularizer} of another kind than L1 and L2")
    layout = rule(call, trace)
    if layer.activity_regularizer is not None:
        trace.lock(layout, f"{described(layer)} regularises its activity, on which removed channels would still count")
    return layout


def writes(layer: layers.Layer) -> bool:
    """Whether a layer writes channels of its own."""
    return type(layer) in _WRITERS


def filters_setting(layer: layers.Layer) -> str:
    """Under which name the configuration of a layer that writes channels holds how many filters it has."""
    return "units" if isinstance(layer, layers.Dense) else "filters"


def filters_of(layer: layers.Layer) -> int:
    """How many filters a layer has that writes channels."""
    return getattr(layer, filters_setting(layer))


def _conv(call: Call, trace: Trace) -> Layout:
    trace.along(call.layer, 0, 2, _image(call).layout, Role.READS)  # kernel [kh, kw, in, filters]
    return _written(call, trace, kernel=0, axis=3)


def _conv_transpose(call: Call, trace: Trace) -> Layout:
    trace.along(call.layer, 0, 3, _image(call).layout, Role.READS)  # kernel [kh, kw, filters, in]
    return _written(call, trace, kernel=0, axis=2)


def _separable(call: Call, trace: Trace) -> Layout:
    _refuse_multiplier(call)
    trace.along(call.layer, 0, 2, _image(call).layout, Role.PASSES)  # depthwise kernel [kh, kw, in, 1]
    trace.along(call.layer, 1, 2, _image(call).layout, Role.READS)  # pointwise kernel [1, 1, in, filters]
    return _written(call, trace, kernel=1, axis=3)


def _dense(call: Call, trace: Trace) -> Layout:
    trace.along(call.layer, 0, 0, _only(call).layout, Role.READS)  # kernel [in, units]
    return _written(call, trace, kernel=0, axis=1)


def _written(call: Call, trace: Trace, kernel: int, axis: int) -> Layout:
    """The filters of a layer, along an axis of its kernel and along its bias, which comes next."""
    layer = call.layer
    layout = trace.write(layer, filters_of(layer))
    trace.along(layer, kernel, axis, layout, Role.WRITES)
    if layer.use_bias:
        trace.along(layer, kernel + 1, 0, layout, Role.WRITES)
    if not _is_per_channel(layer.activation):
        trace.lock(layout, _mixing(layer))
    return layout


def _depthwise(call: Call, trace: Trace) -> Layout:
    _refuse_multiplier(call)
    if not _is_per_channel(call.layer.activation):
        raise CannotFollowError(_mixing(call.layer))
    layout = _image(call).layout
    trace.along(call.layer, 0, 2, layout, Role.PASSES)  # kernel [kh, kw, channels, 1]
    if call.layer.use_bias:
        trace.along(call.layer, 1, 0, layout, Role.PASSES)
    return layout


def _batch_norm(call: Call, trace: Trace) -> Layout:
    tensor, layer = _only(call), call.layer
    if list(layer.axis) != [len(tensor.shape) - 1]:
        raise CannotFollowError(f"{described(layer)} normalises another axis than the channels")
    for number in range(len(layer.weights)):  # each [channels]
        trace.along(layer, number, 0, tensor.layout, Role.PASSES)
    trace.normalise(tensor.layer, layer.name)
    return tensor.layout


def _prelu(call: Call, trace: Trace) -> Layout:
    tensor = _only(call)
    if call.layer.weights[0].shape[-1] != 1:  # it may be shared by all channels
        trace.along(call.layer, 0, len(tensor.shape) - 2, tensor.layout, Role.PASSES)  # alpha [H, W, channels]
    return tensor.layout


def _activation(call: Call, trace: Trace) -> Layout:
    if not _is_per_channel(call.layer.activation):
        raise CannotFollowError(_mixing(call.layer))
    return _only(call).layout


def _dropout(call: Call, trace: Trace) -> Layout:
    shape = getattr(call.layer, "noise_shape", None)
    if shape is not None and shape[-1] not in (None, 1):
        raise CannotFollowError(f"{described(call.layer)} spells out the shape of its noise")
    return _only(call).layout


def _rescaling(call: Call, trace: Trace) -> Layout:
    if any(tf.rank(value) for value in (call.layer.scale, call.layer.offset)):
        raise CannotFollowError(f"{described(call.layer)} has constants for each channel")
    return _only(call).layout


def _passed_on(call: Call, trace: Trace) -> Layout:
    return _only(call).layout


def _flatten(call: Call, trace: Trace) -> Layout:
    return flattened(_only(call), call.layer)


def _reshape(call: Call, trace: Trace) -> Layout:
    tensor, (after,) = _only(call), call.output_shapes
    if after[-1] == tensor.shape[-1]:
        layout = tensor.layout
    elif len(after) == 2:
        layout = flattened(tensor, call.layer)
    else:
        raise CannotFollowError(f"{described(call.layer)} splits channels")
    if call.layer.target_shape[-1] != -1:
        trace.spell_out(call.layer, layout)
    return layout


def _permute(call: Call, trace: Trace) -> Layout:
    if call.layer.dims[-1] != len(call.layer.dims):
        raise CannotFollowError(f"{described(call.layer)} moves the channels to another axis")
    return _only(call).layout


def _joined(call: Call, trace: Trace) -> Layout:
    return joined(call.inputs, call.layer, trace)


def _concatenation(call: Call, trace: Trace) -> Layout:
    return concatenated(call.inputs, call.layer.axis, call.layer, trace)


def _refuse_multiplier(call: Call) -> None:
    if call.layer.depth_multiplier != 1:
        raise CannotFollowError(f"{described(call.layer)} has a depth multiplier")


def _is_per_channel(activation: Callable | layers.Layer) -> bool:
    return activation in _PER_CHANNEL_FUNCTIONS or type(activation) in _PER_CHANNEL_LAYERS


def _mixing(layer: layers.Layer) -> str:
    name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    return f"{described(layer)} mixes them: its activation is {name}"


def _only(call: Call) -> Traced:
    if len(call.inputs) != 1:
        raise CannotFollowError(f"{described(call.layer)} is called with {len(call.inputs)} tensors")
    return call.inputs[0]


def _image(call: Call) -> Traced:
    """The input [N, H, W, C]."""
    tensor = _only(call)
    if len(tensor.shape) != 4:
        raise CannotFollowError(f"{described(call.layer)} reads a tensor of {len(tensor.shape)} axes")
    return tensor


_WRITERS: Mapping[type, Rule] = {
    layers.Conv2D: _conv,
    layers.Conv2DTranspose: _conv_transpose,
    layers.Dense: _dense,
    layers.SeparableConv2D: _separable,
}
_RULES: Mapping[type, Rule] = {
    **_WRITERS,
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _batch_norm,
    layers.PReLU: _prelu,
    layers.Activation: _activation,
    **dict.fromkeys((layers.AlphaDropout, layers.Dropout), _dropout),
    layers.Rescaling: _rescaling,
    layers.Flatten: _flatten,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
    layers.Concatenate: _concatenation,
    TFOpLambda: operator,
    **dict.fromkeys(
        (layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract), _joined
    ),
    **dict.fromkeys(
        (
            *_PER_CHANNEL_LAYERS,
            *(layers.ActivityRegularization, layers.GaussianDropout, layers.GaussianNoise),
            *(layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.MaxPooling2D),
            *(layers.Cropping2D, layers.Resizing, layers.SpatialDropout2D, layers.UpSampling2D, layers.ZeroPadding2D),
        ),
        _passed_on,
    ),
}
