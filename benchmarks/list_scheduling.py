"""How long a search would take on several workers, simulated from the durations that a run's journal holds.

The proposals of an iteration go to whichever worker is free first, in the order of the journal; so do the executors
hand them out. Between iterations nothing overlaps: what the search does by itself takes as long as it did.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tflite_bench.errors import UserError

_ROUNDED_S = 0.01
"""The journal's seconds are rounded to this."""


@dataclass(frozen=True)
class Recorded:
    """The durations of one iteration, in seconds.

    Attributes:
        alone_s: what the search does by itself: measuring, choosing, narrowing.
        tracing_s: what each worker does once: it builds and traces the step of the iteration.
        rounds_s: what each proposal takes besides; a round begins when the one before it is over (`--screen`).
    """

    alone_s: float
    tracing_s: float
    rounds_s: tuple[tuple[float, ...], ...]

    def wall_s(self, workers: int) -> float:
        """How long the iteration would take."""
        return self.alone_s + self.tracing_s + sum(makespan_s(durations_s, workers) for durations_s in self.rounds_s)


def recorded(events: Iterable[Mapping[str, Any]]) -> list[Recorded]:
    """The iterations of a journal, the start not among them.

    Raises:
        UserError: it has none, or one whose proposals did not follow each other within the time of the iteration.
    """
    iterations: list[Recorded] = []
    rounds: dict[str, list[float]] = {}
    for event in events:
        kind = event["event"]
        if kind == "screened" or kind == "proposal":
            rounds.setdefault(kind, []).append(event["wall_s"])
        elif kind == "failed":
            rounds.setdefault("proposal" if "proposal" in rounds else "screened", []).append(event["wall_s"])
        elif kind == "iteration":
            if event["iteration"]:
                iterations.append(_one(event, list(rounds.values())))
            rounds = {}
    if not iterations:
        raise UserError("the journal holds no iteration; let its search come further")
    return iterations


def search_s(iterations: Sequence[Recorded], workers: int) -> float:
    """How long all iterations would take."""
    return sum(iteration.wall_s(workers) for iteration in iterations)


def makespan_s(durations_s: Sequence[float], workers: int) -> float:
    """When the last of some tasks is done; each goes, in this order, to the worker that is free first.

    Args:
        durations_s: of the tasks, which do not depend on each other.
        workers: how many work side by side.
    """
    free_at_s = [0.0] * workers
    for duration_s in durations_s:
        heapq.heapreplace(free_at_s, free_at_s[0] + duration_s)
    return max(free_at_s)


def table(iterations: Sequence[Recorded], workers: Iterable[int]) -> str:
    """Search minutes and speed-up by number of workers, as a Markdown table."""
    one_s = search_s(iterations, 1)
    rows = ["| workers | simulated search, minutes | speed-up |", "|---|---|---|"]
    for count in workers:
        many_s = search_s(iterations, count)
        rows.append(f"| {count} | {many_s / 60:.2f} | {one_s / many_s:.1f} |")
    return "\n".join(rows)


def summary(iterations: Sequence[Recorded]) -> str:
    """What the durations are of, in one sentence."""
    counts = [sum(map(len, iteration.rounds_s)) for iteration in iterations]
    total_s = search_s(iterations, 1)
    alone, tracing = (
        sum(getattr(iteration, part) for iteration in iterations) / total_s for part in ("alone_s", "tracing_s")
    )
    return (
        f"{len(iterations)} iterations of {min(counts)} to {max(counts)} proposals, {total_s / 60:.2f} minutes: "
        f"{alone:.0%} is what the search does alone, {tracing:.0%} is tracing, which every worker does"
    )


def _one(event: Mapping[str, Any], rounds: Sequence[Sequence[float]]) -> Recorded:
    proposals_s = sum(map(sum, rounds))
    alone_s = sum(event["wall_s"].values()) - proposals_s
    if alone_s < -_ROUNDED_S * (len(event["wall_s"]) + sum(map(len, rounds))):
        raise UserError(
            f"the proposals of iteration {event['iteration']} took longer than the iteration: it was interrupted, or "
            "they ran side by side; take the journal of an uninterrupted run with --executor=serial"
        )
    tracing_s = _tracing_s(rounds[0]) if rounds else 0.0
    untraced = [
        [first - tracing_s, *others] if not number else [first, *others]
        for number, (first, *others) in enumerate(rounds)
    ]
    return Recorded(max(0.0, alone_s), tracing_s, tuple(map(tuple, untraced)))


def _tracing_s(durations_s: Sequence[float]) -> float:
    """What the first of some proposals takes beyond the others' median: it has the step traced, which they share."""
    first, *others = durations_s
    return max(0.0, first - median(others)) if others else 0.0
