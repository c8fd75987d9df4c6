"""The nouns of what can be shrunk: channel groups, widths, and where in a network's weights the channels lie."""

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

Widths = Mapping[str, int]
"""Number of filters by channel group."""

Kept = Mapping[str, np.ndarray]
"""By channel group, the indices of the filters that stay, ascending."""


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are removed together.

    Attributes:
        name: that of the first layer that writes them.
        filters: how many there are now.
        writers: layers whose filters they are; with several, one filter of each makes a channel.
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


class Span(NamedTuple):
    """Neighbouring channels that belong to one group; to None where nothing can shrink."""

    group: str | None
    channels: int


Layout = Sequence[Span]
"""Whose the channels along an axis are, in order: one span usually, several behind a concatenation or a flattening."""


def size_of(layout: Layout, widths: Widths) -> int:
    """How many channels an axis has at some widths; groups not named keep theirs."""
    return sum(span.channels if span.group is None else widths.get(span.group, span.channels) for span in layout)


def indices_of(layout: Layout, kept: Kept) -> np.ndarray:
    """Which channels of an axis stay, ascending, int64; groups not named keep all of theirs."""
    begin, parts = 0, []
    for span in layout:
        own = None if span.group is None else kept.get(span.group)
        parts.append(begin + (np.arange(span.channels) if own is None else own))
        begin += span.channels
    return np.concatenate(parts)


class Role(enum.Enum):
    """What a layer does with the channels that an axis of a weight counts."""

    WRITES = "writes"
    PASSES = "passes"
    READS = "reads"


@dataclass(frozen=True)
class Axis:
    """An axis of a weight whose channels belong to groups."""

    layout: Layout
    role: Role


@dataclass(frozen=True)
class WeightChannels:
    """One weight of a layer.

    Attributes:
        shape: of the weight.
        axes: those along which channels lie that belong to groups.
    """

    shape: tuple[int, ...]
    axes: Mapping[int, Axis]

    def size(self, widths: Widths) -> int:
        """How many numbers the weight holds at some widths."""
        return math.prod(
            size_of(self.axes[number].layout, widths) if number in self.axes else length
            for number, length in enumerate(self.shape)
        )


@dataclass(frozen=True)
class Channels:
    """A network's channel groups, and where each one's channels lie.

    Attributes:
        groups: locked ones included, in the order of the network.
        weights: by layer that has any, its weights in Keras' order.
        spelled_out: by layer whose configuration holds a number of channels (a reshape), the layout of that axis.
        normalisers: by writer, the batch norm that is applied to what it writes, where there is one.
    """

    groups: tuple[ChannelGroup, ...]
    weights: Mapping[str, Sequence[WeightChannels]]
    spelled_out: Mapping[str, Layout]
    normalisers: Mapping[str, str]

    @property
    def widths(self) -> dict[str, int]:
        """Widths of the groups that can shrink, in the order of the network."""
        return widths_of(self.groups)

    def at(self, widths: Widths) -> "Channels":
        """Those of the narrower network, under the same names.

        Finding them anew would tell a width of one from a map that is spread over all channels no more.

        Args:
            widths: of its groups; groups not named keep theirs.
        """

        def resized(layout: Layout) -> Layout:
            return tuple(Span(span.group, size_of([span], widths)) for span in layout)

        def narrowed(weight: WeightChannels) -> WeightChannels:
            axes = {number: replace(axis, layout=resized(axis.layout)) for number, axis in weight.axes.items()}
            shape = (size_of(axes[at].layout, {}) if at in axes else size for at, size in enumerate(weight.shape))
            return WeightChannels(tuple(shape), axes)

        return replace(
            self,
            groups=tuple(replace(group, filters=widths.get(group.name, group.filters)) for group in self.groups),
            weights={name: tuple(map(narrowed, weights)) for name, weights in self.weights.items()},
            spelled_out={name: resized(layout) for name, layout in self.spelled_out.items()},
        )

    def parameters(self, widths: Widths) -> int:
        """Number of weights, batch-norm statistics included, that the network has at some widths."""
        return sum(weight.size(widths) for of_layer in self.weights.values() for weight in of_layer)
