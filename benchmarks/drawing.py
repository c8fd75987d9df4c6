"""The pictures of the benchmarks."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.accuracy import KINDS, Trial, by_configuration
from benchmarks.comparison_plan import DOUBLED, MULTIPLIER_WHOLE, NETADAPT, TRIED
from benchmarks.comparison_points import Point
from benchmarks.story import Story

_DOT = {"s": 12, "alpha": 0.7}

_SHOWN_POINTS = 20.0
"""How far below the best a mean may lie and still be shown."""


def draw_accuracy(trials: Sequence[Trial], path: Path) -> None:
    """Predicted against measured, and the signed errors of every configuration, as a PNG."""
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
    groups = by_configuration(trials)
    for configuration, group in groups.items():
        left.scatter([t.measured_ms for t in group], [t.sum_ms for t in group], label=configuration, **_DOT)
    ends = [min(t.measured_ms for t in trials), max(t.measured_ms for t in trials)]
    left.plot(ends, ends, color="black", linewidth=0.8)
    left.set(xscale="log", yscale="log", xlabel="measured, ms", ylabel="sum of the table, raw, ms")
    left.set_title("Predicted against measured")
    left.legend(fontsize=8)
    for offset, (kind, name) in enumerate(KINDS.items()):
        places = [place + 0.25 * (offset - 1) for place, group in enumerate(groups.values()) for _ in group]
        errors = [100 * getattr(trial, kind) for group in groups.values() for trial in group]
        right.scatter(places, errors, label=name, **_DOT)
    right.axhline(0, color="black", linewidth=0.8)
    for aim in (-5, 5):
        right.axhline(aim, color="grey", linewidth=0.8, linestyle="--")
    for place in range(1, len(groups)):
        right.axvline(place - 0.5, color="lightgrey", linewidth=0.8)
    right.set_xticks(range(len(groups)), groups, rotation=30, ha="right", fontsize=8)
    right.set(ylabel="error, %")
    right.set_title("Signed errors")
    right.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_run(story: Story, path: Path) -> None:
    """What the networks of all iterations cost and how accurate they are, and the filters of the last, as a PNG."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
    iterations = range(len(story.measured))
    left.plot(iterations, story.measured, "o-", markersize=4, label="measured")
    left.plot(iterations, story.predicted, "x", color="black", label="predicted by the table")
    left.axhline(story.asked, color="tab:red", linestyle="--", label=f"budget {story.budget}")
    left.set(xlabel="iteration", ylabel="cost / that of the start", ylim=(0, None))
    left.set_title("The budget is met by measurement")
    accuracy = left.twinx()
    accuracy.plot(iterations, [100 * value for value in story.accuracy], "s-", color="tab:green", markersize=3)
    accuracy.set(ylim=(0, 100))
    accuracy.set_ylabel("hold-out accuracy, %", color="tab:green")
    left.legend(fontsize=8, loc="lower left")
    places = range(len(story.widths))
    right.bar(places, story.start_widths.values(), color="lightgrey", label="filters at the start")
    right.bar(places, [story.widths[name] for name in story.start_widths], width=0.5, label="filters left")
    right.set_xticks(places, story.start_widths, rotation=45, ha="right", fontsize=8)
    right.set_title("Which layers paid for it")
    right.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def curves_of(points: Sequence[Point]) -> dict[str, list[Point]]:
    """What a comparison's picture shows of each kind of network, the fastest first.

    Doubled rows and what was tried are left out, unless there is nothing else: the picture is about what a user would
    do instead.
    """
    would_do = [point for point in points if point.kind not in TRIED and not point.kind.endswith(DOUBLED)]
    curves: dict[str, list[Point]] = {}
    for point in would_do or points:
        curves.setdefault(point.kind, []).append(point)
    return {kind: sorted(curve, key=lambda point: point.latency) for kind, curve in curves.items()}


def draw_comparison(points: Sequence[Point], path: Path) -> None:
    """Accuracy over latency, a curve for each kind of network, with 95 % intervals, as a PNG.

    A row of which a network did not train at all lies below the picture, and does not press the others together.
    """
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    curves = curves_of(points)
    for number, (kind, curve) in enumerate(curves.items()):
        accuracies = [point.accuracy for point in curve]
        axes.errorbar(
            [100 * point.latency + 0.25 * number for point in curve],
            [accuracy.points for accuracy in accuracies],
            [
                [accuracy.points - accuracy.low for accuracy in accuracies],
                [accuracy.high - accuracy.points for accuracy in accuracies],
            ],
            label=kind,
            color=f"C{number}",
            linewidth=2.5 if kind == NETADAPT else 1,
            linestyle="-" if kind in (NETADAPT, MULTIPLIER_WHOLE) else "--",
            marker="o",
            markersize=6 if kind == NETADAPT else 4,
            capsize=2,
            elinewidth=0.8,
        )
    axes.set(xlabel="latency, % of the starting network's", ylabel="accuracy on the test set, %")
    axes.set_title("Bars: 95 % of what seeds and test images leave open; curves are set apart a little", fontsize=9)
    shown = [point.accuracy for curve in curves.values() for point in curve]
    best = max(accuracy.points for accuracy in shown)
    near = [accuracy.low for accuracy in shown if accuracy.points > best - _SHOWN_POINTS]
    axes.set_ylim(min(near) - 0.5, max(accuracy.high for accuracy in shown) + 0.5)
    axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="outside right upper")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
