"""What becomes of channels where tensors are added, stacked or flattened, whichever layer does it."""

import math
from collections.abc import Sequence

from tf_keras.layers import Layer

from netadapt_tf.networks.channel_groups import Layout
from netadapt_tf.networks.trace import CannotFollowError, Trace, Traced, described


def joined(tensors: Sequence[Traced], layer: Layer, trace: Trace) -> Layout:
    """Of tensors that are added or multiplied, channel by channel; one of a single channel is spread over all.

    Raises:
        CannotFollowError: the number of channels is not fixed.
    """
    sizes = {tensor.shape[-1] if tensor.shape else None for tensor in tensors}
    if None in sizes:
        raise CannotFollowError(f"{described(layer)} joins tensors whose number of channels is not fixed")
    channels = max(size for size in sizes if size is not None)
    whole = [tensor for tensor in tensors if tensor.shape[-1] == channels]
    for tensor in tensors:
        if tensor.shape[-1] != channels:
            trace.lock(tensor.layout, f"{described(layer)} spreads them over all channels of another tensor")
    return trace.tie([tensor.layout for tensor in whole], layer)


def concatenated(tensors: Sequence[Traced], axis: int, layer: Layer, trace: Trace) -> Layout:
    """Of tensors that are stacked along an axis."""
    if axis in (-1, len(tensors[0].shape) - 1):
        return tuple(span for tensor in tensors for span in tensor.layout)
    return trace.tie([tensor.layout for tensor in tensors], layer)


def flattened(tensor: Traced, layer: Layer) -> Layout:
    """Of a tensor [N, H, W, C] laid out as [N, H * W * C]: the channels come again at every position.

    Raises:
        CannotFollowError: the number of positions is not fixed.
    """
    positions = tensor.shape[1:-1]
    if None in positions:
        raise CannotFollowError(f"{described(layer)} flattens a number of positions that is not fixed")
    return tuple(tensor.layout) * math.prod(size for size in positions if size is not None)
