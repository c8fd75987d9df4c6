"""What is known of a network's channels while its layers are followed, front to back.

Channels bear the name of the layer that writes them. Writers whose channels must be removed together are tied; what is
tied in the end is a channel group.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras
from tf_keras.layers import Layer

from netadapt_tf.networks.channel_groups import Axis, ChannelGroup, Channels, Layout, Role, Span, WeightChannels
from netadapt_tf.networks.training_rules import may_tie


class CannotFollowError(Exception):
    """Channels cannot be followed into a layer, or through it; the message says why."""


@dataclass(frozen=True)
class Traced:
    """A tensor.

    Attributes:
        shape: the batch first; None where a size is not fixed; empty where not even the number of axes is.
        layout: of its last axis.
        layer: that computes it.
    """

    shape: tuple[int | None, ...]
    layout: Layout
    layer: str


@dataclass(frozen=True)
class Call:
    """A layer applied to tensors, once.

    Attributes:
        layer: the layer.
        inputs: all its tensors, wherever they stand in the arguments.
        args: of the call, tensors as `Traced`.
        kwargs: likewise.
        output_shapes: of its results.
    """

    layer: Layer
    inputs: Sequence[Traced]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    output_shapes: Sequence[tuple[int | None, ...]]


def untracked(shape: Sequence[int | None]) -> Layout:
    """Channels that cannot be removed."""
    return (Span(None, shape[-1]),) if shape and shape[-1] is not None else ()


def is_tracked(layout: Layout) -> bool:
    """Whether some of the channels may be removed."""
    return any(span.group is not None for span in layout)


class Trace:
    """Collects, layer by layer, who writes, passes on and reads which channels."""

    def __init__(self) -> None:
        self._filters: dict[str, int] = {}
        self._parents: dict[str, str] = {}
        self._locks: dict[str, str] = {}
        self._axes: defaultdict[tuple[str, int], dict[int, Axis]] = defaultdict(dict)
        self._spelled_out: dict[str, Layout] = {}
        self._normalisers: dict[str, str] = {}
        self._not_followed: dict[str, str] = {}

    def write(self, layer: Layer, filters: int) -> Layout:
        """The channels that a layer writes."""
        self._filters[layer.name] = filters
        return (Span(layer.name, filters),)

    def along(self, layer: Layer, weight: int, axis: int, layout: Layout, role: Role) -> None:
        """Notes whose channels lie along an axis of a weight; a layer that is used twice ties those of both uses.

        Raises:
            CannotFollowError: the weight has another number of them.
        """
        if sum(span.channels for span in layout) != layer.weights[weight].shape[axis]:
            raise CannotFollowError(f"{described(layer)} has weights for another number of channels")
        variable = layer.weights[weight]
        if may_tie(variable.constraint, axis, role, len(variable.shape)):
            self.lock(layout, f"{described(layer)} has a constraint on weights of all of them together")
        axes = self._axes[layer.name, weight]
        axes[axis] = Axis(self.tie([axes[axis].layout, layout], layer) if axis in axes else layout, role)

    def spell_out(self, layer: Layer, layout: Layout) -> None:
        """Notes that a layer's configuration holds the number of channels."""
        earlier = self._spelled_out.get(layer.name)
        self._spelled_out[layer.name] = layout if earlier is None else self.tie([earlier, layout], layer)

    def normalise(self, writer: str, normaliser: str) -> None:
        """Notes that a batch norm follows a layer."""
        self._normalisers.setdefault(writer, normaliser)

    def tie(self, layouts: Sequence[Layout], layer: Layer) -> Layout:
        """Makes channels at the same place inseparable; what does not fit together is locked."""
        first, *others = layouts
        for other in others:
            if [span.channels for span in first] != [span.channels for span in other]:
                for layout in (first, other):
                    self.lock(layout, f"{described(layer)} joins them with channels that are stacked differently")
                continue
            for one, two in zip(first, other, strict=True):
                if one.group is not None and two.group is not None:
                    self._unite(one.group, two.group)
                else:
                    self.lock([one, two], f"{described(layer)} joins them with channels that cannot be removed")
        return first

    def lock(self, layout: Layout, reason: str) -> None:
        """Keeps channels from being removed; the first reason counts."""
        for span in layout:
            if span.group is not None:
                self._locks.setdefault(span.group, reason)

    def give_up(self, call: Call, reason: str) -> None:
        """Locks what reaches a layer that cannot be followed, in this use of it and in all others."""
        for tensor in call.inputs:
            self.lock(tensor.layout, reason)
        self._not_followed.setdefault(call.layer.name, reason)

    def channels(self, network: tf_keras.Model, locks: Mapping[str, str]) -> Channels:
        """What was found, once all layers have been followed.

        Args:
            network: that was followed.
            locks: more groups to be locked, by name, and why.
        """
        for name, reason in {**_sharing_weights(network), **self._not_followed}.items():
            for layout in self._layouts_of(name):
                self.lock(layout, reason)
        members: defaultdict[str, list[str]] = defaultdict(list)
        for layer in network.layers:
            if layer.name in self._filters:
                members[self._root(layer.name)].append(layer.name)
        names = {writer: writers[0] for writers in members.values() for writer in writers}

        def named(layout: Layout) -> Layout:
            return tuple(span._replace(group=names[span.group]) if span.group else span for span in layout)

        def weight_channels(layer: Layer, number: int, weight: tf.Variable) -> WeightChannels:
            axes = self._axes.get((layer.name, number), {}).items()
            return WeightChannels(
                tuple(weight.shape),
                {at: Axis(named(axis.layout), axis.role) for at, axis in axes if is_tracked(axis.layout)},
            )

        weights = {
            layer.name: tuple(weight_channels(layer, number, weight) for number, weight in enumerate(layer.weights))
            for layer in network.layers
            if layer.weights
        }
        spelled_out = {name: named(layout) for name, layout in self._spelled_out.items()}
        met = _meetings(network, weights, spelled_out)
        groups = tuple(
            ChannelGroup(
                writers[0],
                self._filters[writers[0]],
                tuple(writers),
                tuple(met[writers[0], Role.PASSES]),
                tuple(met[writers[0], Role.READS]),
                next((self._locks[writer] for writer in writers if writer in self._locks), locks.get(writers[0])),
            )
            for writers in members.values()
        )
        return Channels(groups, weights, spelled_out, self._normalisers)

    def _layouts_of(self, layer: str) -> Sequence[Layout]:
        axes = [
            axis.layout for (name, _), of_weight in self._axes.items() if name == layer for axis in of_weight.values()
        ]
        return [*axes, *([self._spelled_out[layer]] if layer in self._spelled_out else [])]

    def _unite(self, one: str, two: str) -> None:
        one, two = self._root(one), self._root(two)
        if one != two:
            self._parents[two] = one

    def _root(self, writer: str) -> str:
        while writer in self._parents:
            writer = self._parents[writer]
        return writer


def described(layer: Layer) -> str:
    """A layer by name and kind."""
    return f"{layer.name} ({type(layer).__name__})"


def _sharing_weights(network: tf_keras.Model) -> Mapping[str, str]:
    """Layers that have a weight which another layer has too, and which of them; narrower copies would not share it."""
    owners: defaultdict[int, list[Layer]] = defaultdict(list)
    for layer in network.layers:
        for weight in layer.weights:
            owners[id(weight)].append(layer)
    return {
        layer.name: f"{described(layer)} shares weights with {described(other)}"
        for sharing in owners.values()
        for layer in sharing
        for other in sharing
        if other is not layer
    }


def _meetings(
    network: tf_keras.Model, weights: Mapping[str, Sequence[WeightChannels]], spelled_out: Mapping[str, Layout]
) -> Mapping[tuple[str | None, Role], Sequence[str]]:
    """By group and role, the layers that meet its channels, in the order of the network."""
    met: defaultdict[tuple[str | None, Role], list[str]] = defaultdict(list)
    for layer in network.layers:
        axes = [axis for weight in weights.get(layer.name, ()) for axis in weight.axes.values()]
        axes += [Axis(spelled_out[layer.name], Role.PASSES)] if layer.name in spelled_out else []
        for group, role in dict.fromkeys((span.group, axis.role) for axis in axes for span in axis.layout):
            met[group, role].append(layer.name)
    return met
