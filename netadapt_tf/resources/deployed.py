"""The starting network as it ships, and what follows from it for any widths: layers, files, MACs."""

import copy
from collections.abc import Sequence
from typing import Self

from netadapt_tf.networks.channel_groups import ChannelGroup, Widths
from tflite_bench.errors import UnsupportedLayerError
from tflite_bench.graph import Graph
from tflite_bench.joining import joined
from tflite_bench.layer_models import resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import SizedOperator, sized


class DeployedNetwork:
    """A converted network whose layers can be asked for at other widths, without converting again.

    Attributes:
        graph: the parsed `.tflite`.
        locks: groups that could shrink in the Keras network, and cannot here, and why.
    """

    def __init__(self, tflite: bytes, groups: Sequence[ChannelGroup]) -> None:
        """Parses the starting network.

        Args:
            tflite: the converted network at its own widths.
            groups: the channel groups of the Keras network that it was converted from.

        Raises:
            InvalidModelError: this is no `.tflite`.
        """
        self.graph = Graph(tflite)
        self._writers = {group.name: group.writers for group in groups}
        self._joins = False
        self.locks = self._unsupported(groups)

    @property
    def constant_bytes(self) -> int:
        """Bytes of the weights."""
        return self.graph.constant_bytes

    def layers(self, widths: Widths) -> list[SizedOperator]:
        """The layers at these widths; groups not named keep their filters."""
        layers = self._sized(widths)
        return joined(self.graph, layers) if self._joins else layers

    def as_delegated(self) -> Self:
        """The same network, whose layers are those that a delegate may run in one."""
        other = copy.copy(self)
        other._joins = True
        return other

    def signatures(self, widths: Widths) -> list[str]:
        """The signature of every layer, in order of execution."""
        return [layer_signature(self.graph, layer) for layer in self.layers(widths)]

    def resized(self, widths: Widths) -> bytes:
        """A `.tflite` of these widths, for timing and weighing."""
        return resized_model(self.graph, self._sized(widths))

    def macs(self, widths: Widths) -> int:
        """Multiply-accumulate operations of one inference."""
        return sum(layer.macs for layer in self.layers(widths))

    def _sized(self, widths: Widths) -> list[SizedOperator]:
        filters = {writer: filters for name, filters in widths.items() for writer in self._writers[name]}
        return sized(self.graph, filters)

    def _unsupported(self, groups: Sequence[ChannelGroup]) -> dict[str, str]:
        locks = {}
        for group in groups:
            if group.lock is None and group.filters > 1:
                try:
                    self.layers({group.name: group.filters - 1})
                except UnsupportedLayerError as error:
                    locks[group.name] = str(error)
        return locks
