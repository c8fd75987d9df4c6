"""Noticing that a device drifts: the reference network, timed all through a batch, and the batch repeated if it did."""

from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
from absl import logging

from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.reference import reference_network
from tflite_bench.timing import Job, Meter, Reading
from tflite_bench.unfinished import SingleReading, Unfinished

_MAX_TRIES = 3


def fill_steadily(
    table: LatencyTable, max_drift: float, batch: Collection[str], measure: Callable[[], list[Entry]]
) -> None:
    """Stores the entries of a batch, from the try in which the reference network drifted least.

    A try that was not steady is kept until the batch is finished: after an interruption the next one follows it.

    Args:
        table: where the entries go.
        max_drift: the share of drift up to which no other try is made.
        batch: all signatures of the batch.
        measure: one try at the batch.
    """
    unfinished = Unfinished(table)
    tries = unfinished.tries(batch)
    while len(tries) < _MAX_TRIES:
        tries.append(measure())
        if _drift_of(tries[-1]) <= max_drift:
            break
        unfinished.keep_try(batch, len(tries) - 1, tries[-1])
    best = min(tries, key=_drift_of)
    if _drift_of(best) > max_drift:
        logging.warning(
            "The reference network drifted by %.0f %% while layers were measured, in each of %d tries: "
            "the device is busy, and predictions are less sure; the entries are flagged.",
            100 * _drift_of(best),
            _MAX_TRIES,
        )
    table.finish(best, batch)


class References:
    """The reference network's readings in one try at a batch, place by place: phones of a kind differ, and drift alone.

    Attributes:
        places: how many there are.
    """

    def __init__(self, meter: Meter) -> None:
        """None yet.

        Args:
            meter: measures in these places.
        """
        self.places = meter.procedure.places
        self._meter = meter
        self._readings_ms: list[list[float]] = [[] for _ in range(self.places)]

    def add(self, place: int, reading: Reading) -> None:
        """Takes a reading.

        Raises:
            UserError: it is 0, of which no drift can be told.
        """
        self._readings_ms[place].append(_told_ms(reading))

    def time_at(self, places: Iterable[int]) -> None:
        """Times it in some places, in all of them at once; a failure is tried once more.

        Raises:
            UserError: it cannot be measured.
        """
        where = list(places)
        for position, answer in list(self._meter.time_all([reference_job(self._meter, place) for place in where])):
            if isinstance(answer, MeasurementError):
                answer = _second_reading(self._meter, where[position], answer)
            self.add(where[position], answer)

    def latest_ms(self, place: int) -> float | None:
        """What it took at a place when it was last timed there."""
        return self._readings_ms[place][-1] if self._readings_ms[place] else None

    def vouched_for(self, kept: Sequence[SingleReading]) -> list[SingleReading]:
        """Those readings of an earlier session that can be compared with today's.

        Beside each of them the reference network took about what it takes today, in one of the places; what it took
        then counts as a reading of that place.
        """
        if not kept:
            return []
        self.time_at(range(self.places))
        today_ms = np.array([self.latest_ms(place) for place in range(self.places)])
        vouched = []
        for one in kept:
            off = np.abs(one.reference_ms / today_ms - 1)
            if off.min() <= self._meter.procedure.max_drift:
                self._readings_ms[int(off.argmin())].append(one.reference_ms)
                vouched.append(one)
        return vouched

    def median_ms(self) -> float:
        """Of all readings."""
        return float(np.median(np.concatenate(self._readings_ms)))

    def drift(self, usual_ms: float | None) -> float:
        """The greatest share by which a reading is off what is usual.

        Args:
            usual_ms: what the table has seen so far; where there are several places, or nothing has been seen yet,
                the median of a place's own readings is usual there.
        """
        if self.places > 1:
            usual_ms = None
        return max(_greatest_drift(of_place, usual_ms) for of_place in self._readings_ms if of_place)


def reference_job(meter: Meter, place: int = 0) -> Job:
    """The reference network, as this meter times it."""
    return Job(reference_network(), loads=meter.procedure.reference_loads, place=place)


def reference_reading(meter: Meter) -> Reading:
    """The reference network, timed in the first place; a failure is tried once more.

    Raises:
        UserError: it cannot be measured.
    """
    [(_, answer)] = meter.time_all([reference_job(meter)])
    return _second_reading(meter, 0, answer) if isinstance(answer, MeasurementError) else answer


def _second_reading(meter: Meter, place: int, failure: MeasurementError) -> Reading:
    logging.warning("The reference network could not be measured (%s); trying once more.", failure)
    [(_, answer)] = meter.time_all([reference_job(meter, place)])
    if isinstance(answer, MeasurementError):
        raise UserError(f"not even the reference network can be measured: {answer}") from answer
    return answer


def _told_ms(reading: Reading) -> float:
    if not reading.latency_ms > 0:
        raise UserError(
            "the reference network takes 0 ms by this target's clock, which is too coarse to measure layers"
        )
    return reading.latency_ms


def _greatest_drift(references_ms: Sequence[float], usual_ms: float | None) -> float:
    usual_ms = usual_ms or float(np.median(references_ms))
    return max(abs(reference_ms / usual_ms - 1) for reference_ms in references_ms)


def _drift_of(entries: Sequence[Entry]) -> float:
    return max((entry.drift for entry in entries), default=0.0)
