"""The latency of a network as the sum of its layers, read off a latency table."""

import math
from collections.abc import Iterable, Mapping

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from tflite_bench.latency_table import LatencyTable
from tflite_bench.sizing import SizedOperator
from tflite_bench.table_filling import CALL


class LayerSum:
    """What networks of any widths cost by a table; nothing is measured."""

    def __init__(self, network: DeployedNetwork, table: LatencyTable) -> None:
        """Takes both.

        Args:
            network: the starting network, converted.
            table: milliseconds by layer signature.
        """
        self._network = network
        self._table = table
        self._signatures: dict[tuple[tuple[str, int], ...], list[str]] = {}

    def predict(self, widths: Widths) -> float:
        """The sum over the layers and one call, in milliseconds; infinite where the table lacks a layer."""
        return math.fsum(map(self.latency_ms, [CALL, *self.signatures(widths)]))

    def latency_ms(self, signature: str) -> float:
        """One layer; infinite where the table lacks it."""
        return self._table.latency_ms(signature) if signature in self._table else math.inf

    def by_layer(self, widths: Widths) -> list[tuple[SizedOperator, float]]:
        """Every layer and its latency in milliseconds, in order of execution."""
        layers = zip(self._network.layers(widths), self.signatures(widths), strict=True)
        return [(layer, self.latency_ms(signature)) for layer, signature in layers]

    def missing(self, candidates: Iterable[Widths]) -> Mapping[str, SizedOperator]:
        """Layers of the candidates that the table does not hold, by signature."""
        found: dict[str, SizedOperator] = {}
        for widths in candidates:
            signatures = self.signatures(widths)
            if not all(signature in self._table for signature in signatures):
                layers = zip(signatures, self._network.layers(widths), strict=True)
                found.update({signature: layer for signature, layer in layers if signature not in self._table})
        return found

    def signatures(self, widths: Widths) -> list[str]:
        """The signature of every layer, in order of execution."""
        key = tuple(widths.items())
        if key not in self._signatures:
            self._signatures[key] = self._network.signatures(widths)
        return self._signatures[key]
