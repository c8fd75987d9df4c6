"""Filling a latency table from operator profiles of whole networks: times as they are inside a network."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from absl import logging

from tflite_bench.drift import greatest_drift, reference_reading, steadiest
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph, SizedOperator
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.layer_models import resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.operator_profile import ProfiledNode, layer_latencies_ms
from tflite_bench.progress import progress
from tflite_bench.table_filling import add_call
from tflite_bench.timing import Job, Reading
from tflite_bench.tool_meter import ToolMeter

PROFILED = "operator profile of whole networks"
"""How the caches are treated, as the context of such entries says."""

_PASSES = 3
_BATCH = 16

PROFILE_STATISTIC = f"median of {_PASSES} passes, each the mean of the runs of one start of the tool"
"""What such an entry is: a profile holds sums and counts, no medians."""


@dataclass(frozen=True)
class _Network:
    """A network at some widths, as a file, layer by layer and by signature."""

    tflite: bytes
    layers: Sequence[SizedOperator]
    signatures: Sequence[str]


def fill_from_profiles(
    table: LatencyTable, meter: ToolMeter, graph: Graph, networks: Sequence[Sequence[SizedOperator]], wanted: set[str]
) -> set[str]:
    """Profiles whole networks and stores what their layers took, batch by batch.

    Args:
        table: where the entries go.
        meter: the way to measure.
        graph: the network that all of these come from.
        networks: the layers of each, at widths that together hold every wanted layer.
        wanted: signatures.

    Returns:
        The signatures that could not be measured; each network that could not is said in a warning.

    Raises:
        UserError: nothing can be measured any more; finished batches stand.
    """
    if wanted:
        add_call(table, meter)
    with progress("profiling networks", _PASSES * len(networks)) as bar:
        for begin in range(0, len(networks), _BATCH):
            batch = [
                _Network(resized_model(graph, layers), layers, [layer_signature(graph, layer) for layer in layers])
                for layers in networks[begin : begin + _BATCH]
            ]
            table.add(_steadiest(batch, wanted, table, meter, bar.update))
    return {signature for signature in wanted if signature not in table}


def _steadiest(
    batch: Sequence[_Network],
    wanted: set[str],
    table: LatencyTable,
    meter: ToolMeter,
    update: Callable[[int], object],
) -> list[Entry]:
    return steadiest(table, meter.procedure.max_drift, lambda: _profiled_once(batch, wanted, table, meter, update))


def _profiled_once(
    batch: Sequence[_Network],
    wanted: set[str],
    table: LatencyTable,
    meter: ToolMeter,
    update: Callable[[int], object],
) -> list[Entry]:
    """One try at a batch; a layer's reading is the middle one of its passes, each its mean over networks and places."""
    passes_ms: defaultdict[str, list[float]] = defaultdict(list)
    references_ms = []
    for _ in range(_PASSES):
        references_ms.append(reference_reading(meter).latency_ms)
        of_pass_ms: defaultdict[str, list[float]] = defaultdict(list)
        for position, answer in meter.profile_all([Job(network.tflite) for network in batch]):
            for signature, latency_ms in _by_signature(batch[position], answer):
                if signature in wanted:
                    of_pass_ms[signature].append(latency_ms)
            update(1)
        references_ms.append(reference_reading(meter).latency_ms)
        for signature, latencies_ms in of_pass_ms.items():
            passes_ms[signature].append(float(np.mean(latencies_ms)))
    drift = greatest_drift(references_ms, table.reference_ms())
    reference_ms = float(np.median(references_ms))
    return [
        Entry(
            signature,
            Reading(float(np.median(of_passes)), min(of_passes), max(of_passes), len(of_passes)),
            reference_ms,
            drift,
        )
        for signature, of_passes in passes_ms.items()
    ]


def _by_signature(network: _Network, answer: Sequence[ProfiledNode] | MeasurementError) -> list[tuple[str, float]]:
    try:
        if isinstance(answer, MeasurementError):
            raise answer
        return list(zip(network.signatures, layer_latencies_ms(answer, network.layers), strict=True))
    except MeasurementError as error:
        logging.warning("A network cannot be profiled: %s.", error)
        return []
