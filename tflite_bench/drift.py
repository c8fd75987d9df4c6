"""Noticing that a device drifts: the reference network, timed all through a batch, and the batch repeated if it did."""

from collections.abc import Callable, Sequence

import numpy as np
from absl import logging

from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.reference import reference_network
from tflite_bench.timing import Job, Meter, Reading

_MAX_TRIES = 3


def steadiest(table: LatencyTable, max_drift: float, measure: Callable[[], list[Entry]]) -> list[Entry]:
    """The entries of a batch, from the try in which the reference network drifted least.

    Args:
        table: forgets the single readings of a try when that is through.
        max_drift: the share of drift up to which no other try is made.
        measure: one try at the batch.
    """
    tries: list[list[Entry]] = []
    while len(tries) < _MAX_TRIES:
        tries.append(measure())
        table.drop_unfinished()
        if _drift_of(tries[-1]) <= max_drift:
            return tries[-1]
    best = min(tries, key=_drift_of)
    logging.warning(
        "The reference network drifted by %.0f %% while layers were measured, in each of %d tries: "
        "the device is busy, and predictions are less sure; the entries are flagged.",
        100 * _drift_of(best),
        _MAX_TRIES,
    )
    return best


def greatest_drift(references_ms: Sequence[float], usual_ms: float | None) -> float:
    """The greatest share by which a reading is off what is usual; off their median where nothing is yet.

    Args:
        references_ms: the reference network's readings in a batch.
        usual_ms: what the table has seen so far.
    """
    usual_ms = usual_ms or float(np.median(references_ms))
    return max(abs(reference_ms / usual_ms - 1) for reference_ms in references_ms)


def reference_job(meter: Meter) -> Job:
    """The reference network, as this meter times it."""
    return Job(reference_network(), loads=meter.procedure.reference_loads)


def reference_reading(meter: Meter) -> Reading:
    """The reference network, timed; a failure is tried once more.

    Raises:
        UserError: it cannot be measured.
    """
    [(_, answer)] = meter.time_all([reference_job(meter)])
    if isinstance(answer, MeasurementError):
        logging.warning("The reference network could not be measured (%s); trying once more.", answer)
        [(_, answer)] = meter.time_all([reference_job(meter)])
    if isinstance(answer, MeasurementError):
        raise UserError(f"not even the reference network can be measured: {answer}") from answer
    return answer


def _drift_of(entries: Sequence[Entry]) -> float:
    return max((entry.drift for entry in entries), default=0.0)
