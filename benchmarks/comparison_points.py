"""What the rows of a comparison come to: one point for each kind of network and budget, over all seeds."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.compared_rows import ComparedRow
from benchmarks.comparison_plan import (
    CUT_AT_ONCE,
    DOUBLED,
    KINDS,
    MULTIPLIER_WHOLE,
    MULTIPLIERS,
    NETADAPT,
    REGULARISED,
    SEARCHED_OTHERWISE,
    START,
    TRIED,
    WHOLE,
)
from benchmarks.equal_accuracy import SpeedUp, speed_up
from benchmarks.paired import Difference, paired_difference
from tflite_bench.whole_file import replacing

_PAIRS = (
    *((finder, at_once) for at_once, finder in CUT_AT_ONCE.items()),
    *((REGULARISED, kind) for kind in (*SEARCHED_OTHERWISE, NETADAPT + DOUBLED)),
)
"""Kinds whose difference is said besides: what the training on the way was worth, what other searches leave of a lead.
"""

LATENCIES = "latencies.csv"
_LATENCY_COLUMNS = ("widths", "ratio", "range")


@dataclass(frozen=True)
class Timed:
    """Latency of a shape over the starting network's: the median of several measurings, and how far these range."""

    ratio: float
    spread: float


Latencies = Mapping[str, Timed]
"""By widths, as JSON."""


def shape_of(row: ComparedRow) -> str:
    """The widths of a row's network as `Latencies` has them."""
    return json.dumps(dict(row.widths))


def write_latencies(path: Path, latencies: Latencies) -> None:
    """Keeps what was measured."""
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_LATENCY_COLUMNS)
        writer.writerows([shape, f"{timed.ratio:.4f}", f"{timed.spread:.4f}"] for shape, timed in latencies.items())


def read_latencies(path: Path) -> Latencies:
    """What was measured last; nothing where that was never done."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["widths"]: Timed(float(row["ratio"]), float(row["range"])) for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Point:
    """Networks of one kind at one budget, one for each seed.

    Attributes:
        kind: how they came about.
        percent: the budget.
        rows: by seed.
        timed: their latency, likewise.
    """

    kind: str
    percent: int
    rows: Mapping[int, ComparedRow]
    timed: Mapping[int, Timed]

    @property
    def latency(self) -> float:
        """Over the starting network's, the mean over the seeds."""
        return float(np.mean([timed.ratio for timed in self.timed.values()]))

    @property
    def spread(self) -> float:
        """The widest range of one shape's measurings."""
        return max(timed.spread for timed in self.timed.values())

    @property
    def steps(self) -> float:
        """All training steps, the mean over the seeds."""
        return float(np.mean([row.all_steps for row in self.rows.values()]))

    @property
    def minutes(self) -> float:
        """All minutes of the processor, the mean over the seeds."""
        return float(np.mean([row.all_minutes for row in self.rows.values()]))

    def right(self, seeds: Sequence[int]) -> np.ndarray:
        """Which test images they have right, bool [seeds, N]."""
        return np.stack([self.rows[seed].right for seed in seeds])

    @property
    def accuracy(self) -> Difference:
        """In percent, and the interval that seeds and test images leave."""
        right = self.right(list(self.rows))
        return paired_difference(right, np.zeros_like(right))

    def less(self, other: "Point") -> Difference | None:
        """Its accuracy less another's, over the seeds that both have."""
        seeds = [seed for seed in self.rows if seed in other.rows]
        return paired_difference(self.right(seeds), other.right(seeds)) if seeds else None


def points_of(rows: Sequence[ComparedRow], latencies: Latencies) -> dict[tuple[str, int], Point]:
    """The points of all rows whose shapes are timed, by kind and budget, in the order of `KINDS`."""
    grouped: dict[tuple[str, int], dict[int, ComparedRow]] = {}
    for row in rows:
        if shape_of(row) in latencies:
            grouped.setdefault((row.cell.kind, row.cell.percent), {})[row.cell.seed] = row
    order = [*KINDS, *TRIED, *(kind + DOUBLED for kind in KINDS)]
    return {
        (kind, percent): Point(kind, percent, of, {seed: latencies[shape_of(row)] for seed, row in of.items()})
        for (kind, percent), of in sorted(grouped.items(), key=lambda item: (order.index(item[0][0]), -item[0][1]))
    }


def speed_ups(
    points: Mapping[tuple[str, int], Point], kind: str = MULTIPLIER_WHOLE, against: str = NETADAPT
) -> dict[int, SpeedUp]:
    """By budget, how many times faster NetAdapt's networks are than equally accurate width multipliers.

    Args:
        points: of the comparison.
        kind: which multipliers; at the starting network's widths it is that itself where there is no such row.
        against: which of NetAdapt's rows.

    Returns:
        Nothing of budgets whose networks share no seed with all multipliers.
    """
    multipliers = [point for (of, percent), point in points.items() if of == kind and percent != WHOLE]
    slowest = points.get((kind, WHOLE)) or points.get((START, WHOLE))
    if not multipliers or slowest is None:
        return {}
    curve = sorted([*multipliers, slowest], key=lambda point: point.latency)
    result = {}
    for (of, percent), point in points.items():
        seeds = [seed for seed in point.rows if all(seed in other.rows for other in curve)]
        if of == against and seeds:
            latency = float(np.mean([point.timed[seed].ratio for seed in seeds]))
            others = np.stack([other.right(seeds) for other in curve])
            result[percent] = speed_up(
                point.right(seeds), latency, others, np.array([other.latency for other in curve])
            )
    return result


def table(points: Mapping[tuple[str, int], Point], against: str = NETADAPT) -> str:
    """The points, what they cost, and how they differ from those of NetAdapt at the same budget, in Markdown."""
    lines = [
        f"| budget | networks | latency / start (range) | accuracy (95 %) | points less {against}'s (95 %) | "
        "training steps, search included | minutes | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for point in sorted(points.values(), key=lambda point: -point.percent):
        if point.kind.endswith(DOUBLED):
            continue
        netadapt = points.get((against, point.percent))
        difference = point.less(netadapt) if netadapt and netadapt is not point else None
        accuracy = point.accuracy
        lines.append(
            f"| {point.percent} % | {point.kind} | {point.latency:.1%} ({point.spread:.1%}) | {accuracy.points:.2f} "
            f"({accuracy.low:.2f} to {accuracy.high:.2f}) | {difference or ''} | {point.steps:,.0f} | "
            f"{point.minutes:.1f} | {len(point.rows)} |"
        )
    return "\n".join(lines)


def convergence(points: Mapping[tuple[str, int], Point]) -> str:
    """What doubled rows gain, in Markdown."""
    lines = ["| networks | budget | points that doubling gains (95 %) | steps, doubled |", "|---|---|---|---|"]
    for point in points.values():
        usual = points.get((point.kind.removesuffix(DOUBLED), point.percent))
        if point.kind.endswith(DOUBLED) and usual:
            lines.append(
                f"| {usual.kind} | {point.percent} % | {point.less(usual) or ''} | "
                f"{sum(row.steps for row in point.rows.values()) / len(point.rows):,.0f} |"
            )
    return "\n".join(lines)


def verdict(points: Mapping[tuple[str, int], Point], against: str = NETADAPT) -> str:
    """In words: who is above NetAdapt, against the start, and how much slower an equally accurate multiplier is."""
    lines = []
    for (kind, percent), netadapt in points.items():
        if kind != against:
            continue
        others = [point for point in points.values() if point.percent == percent and point.kind != against]
        differences = {other.kind: other.less(netadapt) for other in others if not other.kind.endswith(DOUBLED)}
        above = [kind for kind, difference in differences.items() if difference and difference.low > 0]
        below = [kind for kind, difference in differences.items() if difference and difference.high < 0]
        lines.append(
            f"At {percent} %: above {against} {', '.join(above) or 'none'}; below it {', '.join(below) or 'none'}; the "
            "others are not resolvable."
        )
        start = points.get((START, WHOLE))
        if start and (difference := netadapt.less(start)):
            lines.append(f"At {percent} %: {against} less start, points: {difference}.")
    for kind, other in _PAIRS:
        for percent in sorted({percent for _, percent in points}, reverse=True):
            one, less = points.get((kind, percent)), points.get((other, percent))
            if one and less and (difference := one.less(less)):
                lines.append(f"At {percent} %: {kind} less {other}, points: {difference}.")
    for kind in MULTIPLIERS:
        for percent, times in speed_ups(points, kind, against).items():
            lines.append(f"At {percent} %: faster than an equally accurate {kind}: {times}.")
    return "\n".join(lines)


def write_points(path: Path, points: Mapping[tuple[str, int], Point]) -> None:
    """The points as CSV, for other pictures than ours."""
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "percent", "seeds", "latency", "accuracy", "low", "high", "steps", "minutes"])
        for point in points.values():
            accuracy = point.accuracy
            figures = [point.latency, accuracy.points, accuracy.low, accuracy.high, point.steps, point.minutes]
            writer.writerow([point.kind, point.percent, len(point.rows), *(f"{figure:.5g}" for figure in figures)])
