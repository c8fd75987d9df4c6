"""Filling a latency table: batches of one-layer models, the reference network in between."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from absl import logging

from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph, SizedOperator
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.progress import progress
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.timing import Job, Meter, Reading, share

_BATCH = 32
_REFERENCE_EVERY = 8
_MAX_DRIFT = 0.03
_MAX_TRIES = 3
_MAX_INSTANCES = 32
_MAX_OUTPUT_BYTES = 256 << 10
_PASSES = 3
_LOADS_OF_A_PASS = 3

STATISTIC = f"median of {_PASSES} passes, each the median of the medians of {_LOADS_OF_A_PASS} loads"
"""What an entry of a filled table is, as its context says."""

CALL = "CALL"
"""The signature of what a call of the runtime costs by itself; a network is called once, whatever its layers."""


class Caches:
    """How the caches are kept, while a layer is timed, as they are inside a network.

    Alone, a layer finds its weights in the caches; in a large network the other layers have pushed them out. So a
    one-layer model holds as many instances of its layer as have the network's weights together (to the next lower
    power of two: networks of like size share entries), but no more than leaves their outputs in the caches, where
    the next layer finds them. Instances also share the cost of the call, and average over places in memory.
    """

    def __init__(self, constant_bytes: int) -> None:
        """Decides by the size of the network's weights, in bytes."""
        self._weight_bytes = 1 << max(0, constant_bytes.bit_length() - 1)

    def __str__(self) -> str:
        return (
            f"up to {_MAX_INSTANCES} instances, of {self._weight_bytes} bytes of weights "
            f"and {_MAX_OUTPUT_BYTES} of outputs"
        )

    def instances(self, weight_bytes: int, output_bytes: int) -> int:
        """How many times over a layer stands in its one-layer model.

        Args:
            weight_bytes: bytes of its constants.
            output_bytes: bytes of its outputs.
        """
        most = min(self._weight_bytes // max(1, weight_bytes), _MAX_OUTPUT_BYTES // max(1, output_bytes))
        return max(1, min(_MAX_INSTANCES, most))


@dataclass(frozen=True)
class _Timed:
    """A one-layer model, how many instances of the layer it holds, and what is no part of the layer's time."""

    tflite: bytes
    instances: int
    call_ms: float


def fill(
    table: LatencyTable, meter: Meter, graph: Graph, layers: Mapping[str, SizedOperator], caches: Caches
) -> set[str]:
    """Cuts layers out, measures them one by one and stores the readings, batch by batch.

    The first that a table holds is `CALL`, what a call costs by itself; it is taken off every other reading.

    What disturbs a machine comes in bursts: every batch is gone through several times, and of a layer's readings
    the middle one counts. A batch in which the reference network drifts, within the batch or from what the table
    has seen, is measured again; the steadiest try counts.

    Args:
        table: where the entries go; its context says how they were measured.
        meter: the way to measure.
        graph: the network that the layers belong to.
        layers: what to measure, by signature.
        caches: how caches are treated.

    Returns:
        The signatures that could not be measured; each is said in a warning.

    Raises:
        UserError: not even the reference network can be measured.
    """
    failed: set[str] = set()
    signatures = sorted(layers)
    if signatures and CALL not in table:
        table.add(_steadiest({CALL: _Timed(almost_empty_model(), 1, 0.0)}, table, meter, failed))
        if failed:
            raise UserError("not even an almost empty model can be measured")
    with progress("measuring layers", len(signatures)) as bar:
        for begin in range(0, len(signatures), _BATCH):
            batch = signatures[begin : begin + _BATCH]
            models = {signature: _cut_out(graph, layers[signature], caches, table) for signature in batch}
            entries = _steadiest(models, table, meter, failed)
            table.add(entries)
            failed -= {entry.signature for entry in entries}
            bar.update(len(batch))
    return failed


def _cut_out(graph: Graph, layer: SizedOperator, caches: Caches, table: LatencyTable) -> _Timed:
    operands = zip(layer.operator.inputs, layer.input_shapes, strict=True)
    weight_bytes = sum(graph.bytes_of(i, shape) for i, shape in operands if i >= 0 and graph.constant(i) is not None)
    outputs = zip(layer.operator.outputs, layer.output_shapes, strict=True)
    instances = caches.instances(weight_bytes, sum(graph.bytes_of(i, shape) for i, shape in outputs))
    return _Timed(one_layer_model(graph, layer, instances), instances, table.latency_ms(CALL))


def _steadiest(models: Mapping[str, _Timed], table: LatencyTable, meter: Meter, failed: set[str]) -> list[Entry]:
    usual_ms = table.reference_ms()
    tries: list[tuple[float, list[Entry]]] = []
    while len(tries) < _MAX_TRIES:
        tries.append(_timed_once({s: model for s, model in models.items() if s not in failed}, usual_ms, meter, failed))
        drift, entries = tries[-1]
        if drift <= _MAX_DRIFT:
            return entries
    drift, entries = min(tries, key=lambda tried: tried[0])
    logging.warning(
        "The reference network drifted by %.0f %% while layers were measured, in each of %d tries: "
        "the machine is busy, and predictions are less sure.",
        100 * drift,
        _MAX_TRIES,
    )
    return entries


def _timed_once(
    models: Mapping[str, _Timed], usual_ms: float | None, meter: Meter, failed: set[str]
) -> tuple[float, list[Entry]]:
    """One try at a batch: the greatest drift of the reference network, and the entries; adds to `failed`."""
    references_ms = [_reference_ms(meter)]
    readings: dict[str, list[Reading]] = {signature: [] for signature in models}
    for _ in range(_PASSES):
        for position, (signature, model) in enumerate(models.items(), start=1):
            if signature in failed:
                continue
            try:
                whole = meter.time(Job(model.tflite, loads=_LOADS_OF_A_PASS))
                readings[signature].append(share(whole, model.call_ms, model.instances))
            except MeasurementError as error:
                logging.warning("%s cannot be measured: %s.", signature, error)
                failed.add(signature)
            if position % _REFERENCE_EVERY == 0:
                references_ms.append(_reference_ms(meter))
        references_ms.append(_reference_ms(meter))
    reference_ms = float(np.median(references_ms))
    drift = max(abs(ms / (usual_ms or reference_ms) - 1) for ms in references_ms)
    measured = {signature: passes for signature, passes in readings.items() if signature not in failed}
    return drift, [Entry(signature, _middle(passes), reference_ms) for signature, passes in measured.items()]


def _middle(readings: Sequence[Reading]) -> Reading:
    return sorted(readings, key=lambda reading: reading.latency_ms)[len(readings) // 2]


def _reference_ms(meter: Meter) -> float:
    try:
        return meter.time(Job(reference_network())).latency_ms
    except MeasurementError as error:
        raise UserError(f"not even the reference network can be measured: {error}") from error
