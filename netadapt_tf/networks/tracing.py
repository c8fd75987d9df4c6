"""Finding the channel groups of a network: whose the channels of every tensor are, front to back.

A convolution reads the groups of its input and writes a new one; a depthwise layer, a batch norm or an activation
passes them on; an addition ties those of its branches to one group; a concatenation stacks them. What each kind of
layer does stands in `layer_rules`. What cannot be followed locks the groups that reach it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import Channels, Layout
from netadapt_tf.networks.layer_rules import filters_of, follow, writes
from netadapt_tf.networks.trace import Call, CannotFollowError, Trace, Traced, described, untracked


def find_channels(network: tf_keras.Model, locks: Mapping[str, str] | None = None) -> Channels:
    """Finds the channel groups of a functional model, locked ones included.

    Args:
        network: channels-last; `flattening.laid_flat` opens nested models, which are not looked into here.
        locks: groups that shall keep their filters, by name, and why.
    """
    trace = Trace()
    reached: dict[int, Traced] = {}  # by id of a tensor
    for depth in sorted(network._nodes_by_depth, reverse=True):
        for node in network._nodes_by_depth[depth]:
            outputs = tf.nest.flatten(node.outputs)
            layouts = _layouts(_call(node, outputs, reached), trace)
            for tensor, layout in zip(outputs, layouts, strict=True):
                reached[id(tensor)] = Traced(_shape(tensor), layout, node.layer.name)
    for tensor in network.outputs:
        trace.lock(reached[id(tensor)].layout, "the network's output")
    return trace.channels(network, locks or {})


def _call(node: Any, outputs: Sequence[Any], reached: Mapping[int, Traced]) -> Call:
    def traced(value: Any) -> Any:
        return reached.get(id(value), value)

    return Call(
        node.layer,
        [reached[id(tensor)] for tensor in node.keras_inputs if id(tensor) in reached],
        tf.nest.map_structure(traced, node.call_args),
        tf.nest.map_structure(traced, node.call_kwargs),
        [_shape(tensor) for tensor in outputs],
    )


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return () if tensor.shape.rank is None else tuple(tensor.shape)


def _layouts(call: Call, trace: Trace) -> Sequence[Layout]:
    """The layouts of all that a layer computes."""
    if isinstance(call.layer, tf_keras.layers.InputLayer):
        return [untracked(shape) for shape in call.output_shapes]
    try:
        layout = follow(call, trace)
        if [sum(span.channels for span in layout)] != [shape[-1] if shape else None for shape in call.output_shapes]:
            raise CannotFollowError(f"{described(call.layer)} changes their number")
        return [layout]
    except CannotFollowError as error:
        trace.give_up(call, str(error))
        if not writes(call.layer):
            return [untracked(shape) for shape in call.output_shapes]
        layout = trace.write(call.layer, filters_of(call.layer))
        trace.lock(layout, str(error))
        return [layout]
