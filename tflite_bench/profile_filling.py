"""Filling a latency table from operator profiles of whole networks: times as they are inside a network."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from absl import logging

from tflite_bench.drift import References, fill_steadily
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.layer_models import resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.operator_profile import ProfiledNode, layer_latencies_ms
from tflite_bench.progress import progress
from tflite_bench.sizing import SizedOperator, sized
from tflite_bench.table_filling import PASSES, add_call
from tflite_bench.timing import Job, Reading
from tflite_bench.tool_meter import ToolMeter
from tflite_bench.unfinished import SingleReading, Unfinished

PROFILED = "operator profile of whole networks"
"""How the caches are treated, as the context of such entries says."""

_BATCH = 16
_REFERENCE_EVERY = 8

PROFILE_STATISTIC = f"median of {PASSES} passes, each the mean of the runs of one start of the tool"
"""What such an entry is: a profile holds sums and counts, no medians."""


@dataclass(frozen=True)
class _Network:
    """A network at some widths, as a file, layer by layer and by signature."""

    tflite: bytes
    sha256: str
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
    meter = meter.with_means()
    add_call(table, meter)
    with progress("profiling networks", PASSES * len(networks)) as bar:
        for begin in range(0, len(networks), _BATCH):
            batch = [_network(graph, layers) for layers in networks[begin : begin + _BATCH]]
            held = wanted.intersection(signature for network in batch for signature in network.signatures)
            with table.filling():
                missing = {signature for signature in held if signature not in table}
                left = [network for network in batch if missing.intersection(network.signatures)]
                bar.update(PASSES * (len(batch) - len(left)))
                if left:
                    measure = partial(_profiled_once, left, missing, table, meter, bar.update)
                    fill_steadily(table, meter.procedure.max_drift, missing, measure)
    return {signature for signature in wanted if signature not in table}


def _network(graph: Graph, layers: Sequence[SizedOperator]) -> _Network:
    tflite = resized_model(graph, layers)
    signatures = [layer_signature(graph, layer) for layer in layers]
    as_numbered_there = sized(Graph(tflite), {})  # unpacking operators stand elsewhere than in the graph's own file
    return _Network(tflite, hashlib.sha256(tflite).hexdigest(), as_numbered_there, signatures)


def _profiled_once(
    batch: Sequence[_Network],
    wanted: set[str],
    table: LatencyTable,
    meter: ToolMeter,
    update: Callable[[int], object],
) -> list[Entry]:
    """One try at a batch; goes on from what an interrupted one has measured.

    A layer's reading is the middle one of its passes, each its mean over networks and places in them. What was not seen
    in every pass gets none.
    """
    unfinished = Unfinished(table)
    references = References(meter)
    readings: defaultdict[str, list[list[Reading]]] = defaultdict(lambda: [[] for _ in range(PASSES)])
    for one in references.vouched_for(unfinished.readings(wanted)):
        readings[one.signature][one.number].append(one.reading)
    with unfinished:
        for number in range(PASSES):
            waiting = [
                (network, (position + number) % references.places)
                for position, network in enumerate(batch)
                if not all(readings[signature][number] for signature in wanted.intersection(network.signatures))
            ]
            update(len(batch) - len(waiting))
            at_once = _REFERENCE_EVERY * references.places
            for begin in range(0, len(waiting), at_once):
                references.time_at(range(references.places))
                part = waiting[begin : begin + at_once]
                for position, answer in meter.profile_all(
                    [Job(network.tflite, place=place) for network, place in part]
                ):
                    network, place = part[position]
                    reference_ms = references.latest_ms(place) or 0.0
                    seen = [
                        SingleReading(signature, number, reading, reference_ms, network.sha256)
                        for signature, reading in _by_signature(network, answer).items()
                        if signature in wanted
                    ]
                    unfinished.keep(seen)
                    for one in seen:
                        readings[one.signature][number].append(one.reading)
                    update(1)
            if waiting:
                references.time_at(range(references.places))
    measured = {signature: passes for signature, passes in readings.items() if all(passes)}
    if not measured:
        return []
    drift = references.drift(table.reference_ms())
    is_flagged = drift > meter.procedure.max_drift
    return [
        Entry(signature, _middle(passes), references.median_ms(), drift, is_flagged)
        for signature, passes in measured.items()
    ]


def _by_signature(network: _Network, answer: Sequence[ProfiledNode] | MeasurementError) -> dict[str, Reading]:
    """What each kind of layer took in one profile: the mean over its places in the network."""
    try:
        if isinstance(answer, MeasurementError):
            raise answer
        latencies_ms = layer_latencies_ms(answer, network.layers)
    except MeasurementError as error:
        logging.warning("A network cannot be profiled: %s.", error)
        return {}
    of_signature: defaultdict[str, list[float]] = defaultdict(list)
    for signature, latency_ms in zip(network.signatures, latencies_ms, strict=True):
        of_signature[signature].append(latency_ms)
    return {
        signature: Reading(float(np.mean(several_ms)), min(several_ms), max(several_ms), len(several_ms))
        for signature, several_ms in of_signature.items()
    }


def _middle(passes: Sequence[Sequence[Reading]]) -> Reading:
    passes_ms = [
        float(np.average([one.latency_ms for one in of_pass], weights=[one.runs for one in of_pass]))
        for of_pass in passes
    ]
    return Reading(float(np.median(passes_ms)), min(passes_ms), max(passes_ms), len(passes_ms))
