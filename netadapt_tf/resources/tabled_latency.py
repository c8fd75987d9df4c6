"""Latency by a table that was filled elsewhere, for those who have the table and not the device."""

from collections.abc import Iterable
from pathlib import Path

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.layer_sum import LayerSum
from netadapt_tf.resources.resource import Measurement
from tflite_bench.errors import UserError
from tflite_bench.graph import SizedOperator
from tflite_bench.latency_table import LatencyTable, stored_contexts
from tflite_bench.layer_times import LayerTimes
from tflite_bench.table_filling import CALL
from tflite_bench.target import Target

_FILL = "fill it with netadapt_tf.fill_table where the device is, export it and import it here"


class TabledLatency:
    """Milliseconds of one inference by a table that was filled elsewhere; what measures nothing proves nothing.

    Attributes:
        unit: of all its answers.
        table: the latency table.
        fingerprint: of the device that it was filled on.
    """

    unit = "ms"
    delegated = False

    def __init__(self, network: DeployedNetwork, start: Widths, target: Target, table_path: Path) -> None:
        """Finds the entries for this target and this network.

        Args:
            network: the starting network, converted.
            start: its widths.
            target: where the table's entries come from.
            table_path: the table's file.

        Raises:
            UserError: the table has none, or of several devices, or lacks layers of the starting network.
        """
        self._network = network
        self._start = start
        self._name = f"{table_path}, for {target.kind}"
        stored = stored_contexts(table_path, target.kind)
        fitting = [context for context in stored if LayerTimes.fits(context, network.graph, target)]
        if not fitting:
            other = f"; it has {len(stored)} sets of entries measured for networks of another size" if stored else ""
            raise UserError(f"the latency table {self._name} has no entries for this network{other}: {_FILL}")
        if len(fitting) > 1:
            devices = "; ".join(
                ", ".join(f"{key} {value}" for key, value in sorted(context.fingerprint.items())) for context in fitting
            )
            raise UserError(
                f"the latency table {self._name} has entries of several devices ({devices}); export the one you mean "
                "with tflite_bench.show_table --device=... --export=..., and import it into a table of its own"
            )
        self.fingerprint = fitting[0].fingerprint
        self.table = LatencyTable(table_path, fitting[0])
        self._sum = LayerSum(network, self.table)

    def prepare(self, candidates: Iterable[Widths]) -> None:
        """Nothing can be added."""

    def predict(self, widths: Widths) -> float:
        """The sum over the layers and one call, in milliseconds; infinite where the table lacks a layer."""
        return self._sum.predict(widths)

    def by_layer(self, widths: Widths) -> list[tuple[SizedOperator, float]]:
        """Every layer and its latency in milliseconds, in order of execution; infinite where the table lacks it."""
        return self._sum.by_layer(widths)

    def call_ms(self) -> float:
        """What one run costs besides its layers, in milliseconds."""
        return self._sum.latency_ms(CALL)

    def measure(self, widths: Widths) -> Measurement:
        """What the table says of both networks.

        Raises:
            UserError: it lacks layers of one.
        """
        missing = self._sum.missing([self._start, widths])
        if missing:
            raise UserError(
                f"the latency table {self._name} lacks {len(missing)} layers, for example {min(missing)}: {_FILL}"
            )
        return Measurement(self._sum.predict(self._start), self._sum.predict(widths))

    def verdict(self, _start: bytes, _adapted: bytes, widths: Widths) -> Measurement:
        """What the table says of two delivered `.tflite`, the second of these widths."""
        return self.measure(widths)
