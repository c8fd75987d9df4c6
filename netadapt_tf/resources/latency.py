"""Latency on a target: predicted as the sum of the table's layers and one call, measured on the whole network."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from absl import logging

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.covering import covering
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.grid import groups_of_layers
from netadapt_tf.resources.layer_sum import LayerSum
from netadapt_tf.resources.resource import Measurement
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.latency_table import LatencyTable
from tflite_bench.layer_times import LayerTimes
from tflite_bench.sizing import SizedOperator
from tflite_bench.table_filling import CALL
from tflite_bench.target import Target
from tflite_bench.timing import Meter, Pair

_REPEATABILITY = 0.005  # by how much two comparisons of the same files differ, beyond their own intervals


class Latency:
    """Milliseconds of one inference on a target.

    Attributes:
        unit: of all its answers.
        table: the latency table that predictions are read off.
        fingerprint: of the device.
        network: the starting network, its layers as the target runs them.
        delegated: whether a delegate takes networks whole, so that a sum of layers needs to be checked.
    """

    unit = "ms"

    def __init__(
        self,
        network: DeployedNetwork,
        start: Widths,
        target: Target,
        meter: Meter,
        table_path: Path,
        again_flagged: bool = False,
    ) -> None:
        """Opens the table for this target.

        Args:
            network: the starting network, converted.
            start: its widths.
            target: where `meter` measures.
            meter: the way to measure.
            table_path: the table's file; shared by all searches, filled on demand.
            again_flagged: measure again what was measured while the device drifted.
        """
        self._start = start
        self._target = target
        self._meter = meter
        self._start_tflite = network.resized(start)
        self._times = LayerTimes(network.graph, target, meter)
        self.network = network.as_delegated() if self._times.joins else network
        self.table = LatencyTable(table_path, self._times.context, without_flagged=again_flagged)
        self.fingerprint = meter.fingerprint()
        self.delegated = meter.procedure.delegated
        self._sum = LayerSum(self.network, self.table)
        self._failed: set[str] = set()

    def prepare(self, candidates: Iterable[Widths]) -> None:
        """Measures every layer of the candidates that the table does not hold."""
        every = list(candidates)
        self.prepare_layers(self._sum.missing(every), lambda missing: self._covering(missing, every))

    def prepare_layers(
        self, layers: Mapping[str, SizedOperator], networks: Callable[[Collection[str]], Sequence[Widths]]
    ) -> set[str]:
        """Measures layers, by signature, that the table does not hold.

        Args:
            layers: of any networks that the starting one can become.
            networks: widths of networks that together hold the layers of these signatures; asked only for targets that
                profile whole networks.

        Returns:
            Those that could not be measured, now or before.
        """
        missing = {s: layer for s, layer in layers.items() if s not in self.table and s not in self._failed}
        if missing or CALL not in self.table:
            self._failed |= self._times.fill(
                self.table, missing, lambda: [self.network.layers(widths) for widths in networks(missing)]
            )
        return self._failed.intersection(layers)

    def predict(self, widths: Widths) -> float:
        """The sum over the layers and one call, in milliseconds; infinite where a layer could not be measured."""
        self.prepare([widths])
        return self._sum.predict(widths)

    def by_layer(self, widths: Widths) -> list[tuple[SizedOperator, float]]:
        """Every layer and its latency in milliseconds, in order of execution; infinite where the table lacks it."""
        return self._sum.by_layer(widths)

    def call_ms(self) -> float:
        """What one run costs besides its layers, in milliseconds."""
        return self._sum.latency_ms(CALL)

    def measure(self, widths: Widths) -> Measurement:
        """Times the network at these widths and the starting network in turn, both made by editing."""
        return self._compare(Pair(self._start_tflite, self.network.resized(widths)))

    def verdict(self, start: bytes, adapted: bytes, widths: Widths) -> Measurement:
        """Times two delivered `.tflite` in turn, for longer than the search does; they are measured, not predicted."""
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

    def _covering(self, missing: Collection[str], candidates: Sequence[Widths]) -> list[dict[str, int]]:
        """Few networks that hold all missing layers of the candidates; otherwise like the widest of these."""
        groups_of = groups_of_layers(self.network, self._start)
        wanted: dict[str, Widths] = {}
        for widths in candidates:
            for signature, groups in zip(self._sum.signatures(widths), groups_of, strict=True):
                if signature in missing:
                    wanted.setdefault(signature, {name: widths[name] for name in groups})
        return covering(max(candidates, key=lambda widths: sum(widths.values())), wanted.values())
