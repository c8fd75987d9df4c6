"""Latency by a table that was filled elsewhere, for those who have the table and not the device."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.layer_sum import LayerSum
from netadapt_tf.resources.resource import Measurement
from tflite_bench.errors import UserError
from tflite_bench.latency_table import Context, LatencyTable, stored_contexts, stored_kinds
from tflite_bench.layer_times import LayerTimes
from tflite_bench.sizing import SizedOperator
from tflite_bench.table_filling import CALL
from tflite_bench.target import Target

_FILL = "fill it with netadapt_tf.fill_table where the device is, export it and import it here"


class TabledLatency:
    """Milliseconds of one inference by a table that was filled elsewhere; what measures nothing proves nothing.

    Attributes:
        unit: of all its answers.
        table: the latency table.
        fingerprint: of the device that it was filled on.
        delegated: False whatever the device: there are no measurements that sums could be checked against.
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
            UserError: the table has none, or several sets that must not be mixed.
        """
        self._network = network
        self._start = start
        self._name = f"{table_path}, for {target.kind}"
        stored = stored_contexts(table_path, target.kind)
        fitting = [context for context in stored if LayerTimes.fits(context, network.graph, target)]
        if not fitting:
            raise UserError(
                f"the latency table {self._name} has no entries for this network; it holds "
                f"{_held(stored, stored_kinds(table_path))}: {_FILL}"
            )
        if len(fitting) > 1:
            raise UserError(
                f"the latency table {self._name} has {len(fitting)} sets of entries for this network, which differ in "
                f"{_differences(fitting)}; {_how_to_choose(fitting)} and import it into a table of its own"
            )
        self.fingerprint = fitting[0].fingerprint
        self.table = LatencyTable(table_path, fitting[0])
        self._sum = LayerSum(network.as_delegated() if LayerTimes.joined(fitting[0]) else network, self.table)

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
            UserError: it lacks layers of one, or what a call costs.
        """
        missing = sorted(self._sum.missing([self._start, widths]))
        if CALL not in self.table:
            missing.insert(0, f"{CALL}, what one run costs besides its layers")
        if missing:
            raise UserError(
                f"the latency table {self._name} lacks {len(missing)} entries, for example {missing[0]}: {_FILL}"
            )
        return Measurement(self._sum.predict(self._start), self._sum.predict(widths))

    def verdict(self, start: bytes, adapted: bytes, widths: Widths) -> Measurement:
        """What the table says of two delivered networks; their files are not measured."""
        return self.measure(widths)


def _held(of_this_target: Sequence[Context], kinds: Sequence[str]) -> str:
    """What a table has instead of what was looked for."""
    if of_this_target:
        return f"{len(of_this_target)} sets of entries measured for networks of another size"
    return f"entries for {', '.join(kinds)}" if kinds else "no entries at all"


def _differences(contexts: Sequence[Context]) -> str:
    """The keys in which contexts differ, the statistic included, and their values."""
    texts = []
    for key in sorted({key for context in contexts for key in context.fingerprint}):
        values = _distinct([str(context.fingerprint.get(key, "not known")) for context in contexts])
        if len(values) > 1:
            texts.append(f"{key} ({'; '.join(values)})")
    statistics = _distinct([context.statistic for context in contexts])
    if len(statistics) > 1:
        texts.append(f"statistic ({'; '.join(statistics)})")
    return ", ".join(texts)


def _how_to_choose(contexts: Sequence[Context]) -> str:
    """What makes a file of one context alone; `show_table` does not choose between statistics."""
    devices = _distinct([str(sorted(context.fingerprint.items())) for context in contexts])
    by_device = "export the one you mean with tflite_bench.show_table --device=TEXT --export=FILE, where TEXT is"
    if len(devices) == len(contexts):
        return f"{by_device} one of these values,"
    if len(devices) == 1:
        return "export the statistic you mean alone, from a table that holds no other,"
    return f"{by_device} one of these values but no statistic, from a table that holds one statistic alone,"


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))
