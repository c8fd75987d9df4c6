"""Which channels must be removed together, found from the network's graph.

Every layer is visited once, front to back, carrying along which group the channels of each tensor
belong to: a convolution reads the group of its input and writes a new one; a depthwise layer, a
batch norm or an activation passes a group on. What cannot be followed locks the groups that reach it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tf_keras
from tf_keras import layers

Widths = Mapping[str, int]
"""Number of filters by channel group."""

_WRITERS = (layers.Conv2D, layers.Dense)
_PER_CHANNEL = (
    layers.DepthwiseConv2D,
    layers.BatchNormalization,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.ZeroPadding2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.Dropout,
    layers.SpatialDropout2D,
)

_PER_CHANNEL_ACTIVATIONS = (
    *("linear", "relu", "relu6", "elu", "gelu", "leaky_relu", "sigmoid", "tanh"),
    *("ReLU", "ELU", "LeakyReLU"),
)


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are removed together.

    Attributes:
        name: that of the layer that writes them.
        filters: how many there are now.
        writers: layers whose filters they are.
        per_channel: layers that treat each of them alone and know how many there are (depthwise, batch norm, reshape).
        readers: layers whose kernels read them.
        lock: why their number cannot change, or None.
    """

    name: str
    filters: int
    writers: tuple[str, ...]
    per_channel: tuple[str, ...]
    readers: tuple[str, ...]
    lock: str | None = None

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.filters} filters" + (f", locked: {self.lock}" if self.lock else "")]
        for role, names in (("written by", self.writers), ("through", self.per_channel), ("read by", self.readers)):
            if names:
                lines.append(f"  {role} {', '.join(names)}")
        return "\n".join(lines)


def widths_of(groups: Sequence[ChannelGroup]) -> dict[str, int]:
    """Widths of the groups that can shrink, in the order of the network."""
    return {group.name: group.filters for group in groups if group.lock is None}


@dataclass
class _Trace:
    """A group while it is being followed."""

    name: str
    filters: int
    per_channel: list[str] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    lock: str | None = None

    def frozen(self) -> ChannelGroup:
        return ChannelGroup(
            self.name, self.filters, (self.name,), tuple(self.per_channel), tuple(self.readers), self.lock
        )


def find_channel_groups(network: tf_keras.Model) -> tuple[ChannelGroup, ...]:
    """Finds the channel groups of a functional model, locked ones included, in the order of their writers.

    Args:
        network: channels-last; every layer used once.
    """
    traces: dict[str, _Trace] = {}
    reached: dict[int, _Trace | None] = {}  # id of a tensor -> the group its channels belong to
    for layer in network.layers:
        for node in layer._inbound_nodes:
            sources = [reached.get(id(tensor)) for tensor in node.keras_inputs]
            trace = _follow(layer, sources, traces)
            for tensor in _listed(node.outputs):
                reached[id(tensor)] = trace
    for tensor in network.outputs:
        trace = reached.get(id(tensor))
        if trace is not None:
            trace.lock = trace.lock or "the network's output"
    return tuple(trace.frozen() for trace in traces.values())


def _follow(layer: layers.Layer, sources: Sequence[_Trace | None], traces: dict[str, _Trace]) -> _Trace | None:
    """The group that the channels of the layer's output belong to; records the layer in the groups it meets."""
    obstacle = _obstacle(layer)
    if obstacle is not None:
        for source in sources:
            if source is not None:
                source.lock = source.lock or obstacle
    source = sources[0] if sources else None
    if type(layer) in _WRITERS:
        if source is not None:
            source.readers.append(layer.name)
        filters = layer.units if isinstance(layer, layers.Dense) else layer.filters
        return traces.setdefault(layer.name, _Trace(layer.name, filters, lock=obstacle or _activation_obstacle(layer)))
    if obstacle is not None:
        return None
    if source is not None and (layer.weights or isinstance(layer, layers.Reshape)):
        source.per_channel.append(layer.name)
    return source


def _obstacle(layer: layers.Layer) -> str | None:
    """Why channels cannot be followed into a layer, or through it, or None."""
    described = f"{layer.name} ({type(layer).__name__})"
    if isinstance(layer, layers.InputLayer):
        return None
    if len(layer._inbound_nodes) > 1:
        return f"{described} is used more than once"
    rank = len(layer.output_shape) if isinstance(layer.output_shape, tuple) else 0
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"{described} keeps channels first"
    if type(layer) in _WRITERS:
        if getattr(layer, "groups", 1) != 1:
            return f"{described} is a grouped convolution"
        return f"{described} reads several positions" if isinstance(layer, layers.Dense) and rank != 2 else None
    if type(layer) is layers.Reshape and _moves_no_channel(layer):
        return None
    if type(layer) not in _PER_CHANNEL:
        return f"{described} cannot be followed"
    if type(layer) is layers.Activation:
        return _activation_obstacle(layer)
    if isinstance(layer, layers.DepthwiseConv2D) and layer.depth_multiplier != 1:
        return f"{described} has a depth multiplier"
    if isinstance(layer, layers.BatchNormalization) and _listed(layer.axis) != [rank - 1]:
        return f"{described} normalises another axis than the channels"
    return None


def _activation_obstacle(layer: layers.Layer) -> str | None:
    """Why channels cannot be followed through a layer's activation, or None."""
    name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    if name not in _PER_CHANNEL_ACTIVATIONS:
        return f"{layer.name} ({type(layer).__name__}) mixes them: its activation is {name}"
    return None


def _moves_no_channel(layer: layers.Reshape) -> bool:
    """Whether a reshape only adds or drops axes of length one before the channels."""
    channels = layer.input_shape[-1]
    return layer.output_shape[-1] == channels and {*layer.input_shape[1:-1], *layer.output_shape[1:-1]} <= {1}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
