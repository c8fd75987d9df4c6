"""Filling a latency table: batches of one-layer models, the reference network in between."""

from collections.abc import Mapping

import numpy as np
from absl import logging

from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph, SizedOperator
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.progress import progress
from tflite_bench.reference import reference_network
from tflite_bench.timing import Job, Meter, Reading

_BATCH = 32
_REFERENCE_EVERY = 8
_MAX_DRIFT = 0.05
_MAX_TRIES = 3
_COLD_FROM_BYTES = 4 << 20
_COLD_MODEL_BYTES = 5 << 10  # 4 KB of weights, and the file around them
_MAX_COPIES = 64


class Caches:
    """How a layer's weights are kept as cold, between its runs, as they are inside a network.

    Alone, a layer finds its weights in the caches; in a large network the other layers have pushed them out. So
    copies of the layer take turns, together as large as the network's weights, to the next lower power of two:
    networks of like size share entries. Small networks stay warm all through, and so do their layers.
    """

    def __init__(self, constant_bytes: int) -> None:
        """Decides by the size of the network's weights, in bytes."""
        cold = constant_bytes >= _COLD_FROM_BYTES
        self._rotated_bytes = 1 << (constant_bytes.bit_length() - 1) if cold else 0

    def __str__(self) -> str:
        return f"cold weights, {self._rotated_bytes >> 20} MiB" if self._rotated_bytes else "warm"

    def job(self, model: bytes) -> Job:
        """What the meter is told for a one-layer model."""
        if not self._rotated_bytes or len(model) < _COLD_MODEL_BYTES:
            return Job(model)
        copies = max(1, min(_MAX_COPIES, self._rotated_bytes // len(model)))
        return Job(model, copies, loads=-(-Job.loads // copies))


def fill(
    table: LatencyTable, meter: Meter, graph: Graph, layers: Mapping[str, SizedOperator], caches: Caches
) -> set[str]:
    """Cuts layers out, measures them one by one and stores the readings, batch by batch.

    A batch in which the reference network drifts, within the batch or from what the table has seen, is
    measured again; the steadiest try counts.

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
    with progress("measuring layers", len(signatures)) as bar:
        for begin in range(0, len(signatures), _BATCH):
            batch = signatures[begin : begin + _BATCH]
            jobs = {signature: caches.job(one_layer_model(graph, layers[signature])) for signature in batch}
            entries = _steadiest(jobs, table, meter, failed)
            table.add(entries)
            failed -= {entry.signature for entry in entries}
            bar.update(len(batch))
    return failed


def _steadiest(jobs: Mapping[str, Job], table: LatencyTable, meter: Meter, failed: set[str]) -> list[Entry]:
    usual_ms = table.reference_ms()
    tries: list[tuple[float, list[Entry]]] = []
    while len(tries) < _MAX_TRIES:
        tries.append(_timed_once({s: job for s, job in jobs.items() if s not in failed}, usual_ms, meter, failed))
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
    jobs: Mapping[str, Job], usual_ms: float | None, meter: Meter, failed: set[str]
) -> tuple[float, list[Entry]]:
    """One try at a batch: the greatest drift of the reference network, and the entries; adds to `failed`."""
    references_ms = [_reference_ms(meter)]
    readings: dict[str, Reading] = {}
    for position, (signature, job) in enumerate(jobs.items(), start=1):
        try:
            readings[signature] = meter.time(job)
        except MeasurementError as error:
            logging.warning("%s cannot be measured: %s.", signature, error)
            failed.add(signature)
        if position % _REFERENCE_EVERY == 0 or position == len(jobs):
            references_ms.append(_reference_ms(meter))
    reference_ms = float(np.median(references_ms))
    drift = max(abs(ms / (usual_ms or reference_ms) - 1) for ms in references_ms)
    return drift, [Entry(signature, reading, reference_ms) for signature, reading in readings.items()]


def _reference_ms(meter: Meter) -> float:
    try:
        return meter.time(Job(reference_network())).latency_ms
    except MeasurementError as error:
        raise UserError(f"not even the reference network can be measured: {error}") from error
