"""Latency on a target: predicted as the sum of the table's layers and one call, measured on the whole network."""

import math
from collections.abc import Iterable
from pathlib import Path

from absl import logging

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.resource import Measurement
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import SizedOperator
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.table_filling import CALL, Caches, fill, statistic
from tflite_bench.target import Target
from tflite_bench.timing import Meter, Pair

_REPEATABILITY = 0.005  # by how much two comparisons of the same files differ, beyond their own intervals


class Latency:
    """Milliseconds of one inference on a target.

    Attributes:
        unit: of all its answers.
        table: the latency table that predictions are read off.
    """

    unit = "ms"

    def __init__(self, network: DeployedNetwork, start: Widths, target: Target, meter: Meter, table_path: Path) -> None:
        """Opens the table for this target.

        Args:
            network: the starting network, converted.
            start: its widths.
            target: where `meter` measures.
            meter: the way to measure.
            table_path: the table's file; shared by all searches, filled on demand.
        """
        self._network = network
        self._target = target
        self._meter = meter
        self._start_tflite = network.resized(start)
        self._caches = Caches(network.constant_bytes)
        self.table = LatencyTable(
            table_path, Context(target.kind, meter.fingerprint(), str(self._caches), statistic(meter.procedure))
        )
        self._signatures: dict[tuple[tuple[str, int], ...], list[str]] = {}
        self._failed: set[str] = set()

    def prepare(self, candidates: Iterable[Widths]) -> None:
        """Measures every layer of the candidates that the table does not hold."""
        missing: dict[str, SizedOperator] = {}
        for widths in candidates:
            if not all(map(self._is_known, self._signatures_of(widths))):
                layers = zip(self._signatures_of(widths), self._network.layers(widths), strict=True)
                missing.update({signature: layer for signature, layer in layers if not self._is_known(signature)})
        self._failed |= fill(self.table, self._meter, self._network.graph, missing, self._caches)

    def predict(self, widths: Widths) -> float:
        """The sum over the layers and one call, in milliseconds; infinite where a layer could not be measured."""
        signatures = self._signatures_of(widths)
        if not all(map(self._is_known, signatures)):
            self.prepare([widths])
        if self._failed.intersection(signatures):
            return math.inf
        return math.fsum(self.table.latency_ms(signature) for signature in [CALL, *signatures])

    def by_layer(self, widths: Widths) -> list[tuple[SizedOperator, float]]:
        """Every layer and its latency in milliseconds, in order of execution; infinite where it cannot be measured."""
        self.prepare([widths])
        return [
            (layer, math.inf if signature in self._failed else self.table.latency_ms(signature))
            for layer, signature in zip(self._network.layers(widths), self._signatures_of(widths), strict=True)
        ]

    def measure(self, widths: Widths) -> Measurement:
        """Times the network at these widths and the starting network in turn, both made by editing."""
        return self._compare(Pair(self._start_tflite, self._network.resized(widths)))

    def verdict(self, start: bytes, adapted: bytes) -> Measurement:
        """Times two delivered `.tflite` in turn, for longer than the search does."""
        return self._compare(Pair(start, adapted, max_loads=2 * Pair.max_loads, total_ms=2 * Pair.total_ms))

    def _compare(self, pair: Pair) -> Measurement:
        try:
            compared = self._meter.compare(pair)
        except MeasurementError as error:
            logging.warning("Measuring a whole network failed (%s); trying once more.", error)
            try:
                compared = self._meter.compare(pair)
            except MeasurementError as again:
                raise UserError(f"the network cannot be measured on {self._target}: {again}") from again
        return Measurement(
            start=compared.first_ms,
            value=compared.ratio * compared.first_ms,
            spread=(compared.ratio_spread + _REPEATABILITY * compared.ratio) * compared.first_ms,
        )

    def _is_known(self, signature: str) -> bool:
        return signature in self.table or signature in self._failed

    def _signatures_of(self, widths: Widths) -> list[str]:
        key = tuple(widths.items())
        if key not in self._signatures:
            self._signatures[key] = self._network.signatures(widths)
        return self._signatures[key]
