"""What a measurement is told and what it answers; shared by every way to measure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tflite_bench.errors import MeasurementError


@dataclass(frozen=True)
class Job:
    """One model to be timed.

    Attributes:
        tflite: the model.
        loads: how many times over the model is loaded and timed; where its buffers land in memory is worth percents.
        min_runs: timed runs of each load, at least.
        min_total_ms: timed time of each load, at least.
        place: which of the meter's places is to time it, from 0; see `Procedure.places`.
        is_layer: whether the model is cut out of a network, where its neighbours leave and fetch what it reads and
            writes: a meter that feeds a device may leave that out.
    """

    tflite: bytes
    loads: int = 5
    min_runs: int = 11
    min_total_ms: float = 2.0
    place: int = 0
    is_layer: bool = False


@dataclass(frozen=True)
class Pair:
    """Two models to be timed in turn.

    Attributes:
        first: a model.
        second: the other.
        max_loads: how many times over both are loaded and timed, if `total_ms` is long enough.
        min_loads: how many times over, if it is not.
        total_ms: about how long to go on in all.
    """

    first: bytes
    second: bytes
    max_loads: int = 61
    min_loads: int = 7
    total_ms: float = 2000.0


@dataclass(frozen=True)
class Reading:
    """Milliseconds of one run of a model, the call included, or of one layer's share of it.

    What the figures are depends on how they were measured: percentiles of runs, the least and the greatest run where
    a tool reports no percentiles, or the least and the greatest pass where runs were only summed.

    Attributes:
        latency_ms: the median or mean that `Procedure.statistic`, and with table entries `Context.statistic`, names.
        p5_ms: 5th percentile, or the least.
        p95_ms: 95th percentile, or the greatest.
        runs: how many figures these are of: timed runs, or passes.
    """

    latency_ms: float
    p5_ms: float
    p95_ms: float
    runs: int


def reading(runs_ms: Sequence[np.ndarray]) -> Reading:
    """Summarises single runs: the median over the loads of each load's median.

    Args:
        runs_ms: for each load of the model, the times of its runs.
    """
    p5_ms, p95_ms = np.percentile(np.concatenate(runs_ms), [5, 95])
    return Reading(
        latency_ms=float(np.median([np.median(of_load) for of_load in runs_ms])),
        p5_ms=float(p5_ms),
        p95_ms=float(p95_ms),
        runs=sum(len(of_load) for of_load in runs_ms),
    )


def share(whole: Reading, call_ms: float, instances: int) -> Reading:
    """What one of several equal layers takes of a run of the model that holds them.

    Args:
        whole: the reading of the model.
        call_ms: what the call costs by itself; it is taken off.
        instances: how many layers the model holds.
    """

    def of_one(run_ms: float) -> float:
        return max(0.0, run_ms - call_ms) / instances

    return Reading(of_one(whole.latency_ms), of_one(whole.p5_ms), of_one(whole.p95_ms), whole.runs)


@dataclass(frozen=True)
class Comparison:
    """Two models timed in turn.

    Attributes:
        first_ms: median of the first, in milliseconds.
        second_ms: median of the second.
        ratio: second / first, the median over the loads of each load's median over its rounds.
        ratio_spread: half the width of the interval that holds the median ratio with 95 % confidence.
        loads: how many times both were loaded.
        rounds: how often each was timed in all.
    """

    first_ms: float
    second_ms: float
    ratio: float
    ratio_spread: float
    loads: int
    rounds: int


def comparison(first_ms: np.ndarray, second_ms: np.ndarray) -> Comparison:
    """Compares round by round: what disturbs one of a pair disturbs the other.

    The interval is that of order statistics over the loads (binomial, normal approximation), free of
    assumptions on the noise.

    Args:
        first_ms: [loads, rounds] times of the first model.
        second_ms: [loads, rounds] times of the second, each taken next to the first's.
    """
    ratios = np.sort(np.median(second_ms / first_ms, axis=1))  # [loads]
    half_width = 0.98 * np.sqrt(ratios.size)
    low = max(0, int(np.floor(ratios.size / 2 - half_width)))
    high = min(ratios.size - 1, int(np.ceil(ratios.size / 2 + half_width)))
    return Comparison(
        first_ms=float(np.median(np.median(first_ms, axis=1))),
        second_ms=float(np.median(np.median(second_ms, axis=1))),
        ratio=float(np.median(ratios)),
        ratio_spread=float(ratios[high] - ratios[low]) / 2,
        loads=first_ms.shape[0],
        rounds=first_ms.size,
    )


@dataclass(frozen=True)
class Procedure:
    """How layers are measured, batch by batch, with one way to measure.

    Attributes:
        loads: of a layer's model in each pass over a batch.
        reference_loads: of the reference network, each time it is timed.
        statistic: what a reading's latency is.
        max_drift: the share by which the reference network may drift before a batch is repeated.
        delegated: whether a delegate takes models whole, as a GPU's does, with a fixed cost for each run, and joins
            layers as it likes.
        places: how many places measure at once, each of which may drift by itself: phones of one kind.
    """

    loads: int
    reference_loads: int
    statistic: str
    max_drift: float
    delegated: bool
    places: int = 1


class Meter(Protocol):
    """A way to measure models."""

    @property
    def procedure(self) -> Procedure:
        """How layers are measured with it."""

    def time_all(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Reading | MeasurementError]]:
        """Times models; yields each one's place in `jobs` and its reading, or what went wrong, as soon as it is known.

        Raises:
            UserError: nothing more can be measured; what was yielded before stands.
        """

    def compare(self, pair: Pair) -> Comparison:
        """Times two models in turn; raises `MeasurementError`."""

    def fingerprint(self) -> Mapping[str, str | int]:
        """What the readings depend on, without names of machines or people."""
