import csv
import json

import numpy as np
import pytest

from benchmarks.compared_rows import Cell, ComparedRow
from benchmarks.comparison_plan import AT_LARGER_RATE, MULTIPLIER_WHOLE, NETADAPT, START, UNIFORM
from benchmarks.comparison_points import (
    Timed,
    convergence,
    points_of,
    read_latencies,
    speed_ups,
    table,
    verdict,
    write_latencies,
    write_points,
)
from benchmarks.drawing import curves_of, draw_comparison

IMAGES = 2000
WIDTHS = {100: 8, 70: 6, 50: 4, 35: 2}
LATENCIES = {json.dumps({"a": filters}): Timed(percent / 100, 0.004) for percent, filters in WIDTHS.items()}


def row(kind: str, percent: int, seed: int, accuracy: float, filters: int | None = None) -> ComparedRow:
    """Right on the easiest images, so that networks differ in as many as their accuracies say."""
    right = np.roll(np.arange(IMAGES) < accuracy * IMAGES, 7 * seed)
    widths = {"a": filters or WIDTHS[percent]}
    return ComparedRow(Cell(seed, percent, kind), widths, right, 100 + 20 * seed, 10, 2.0, 1.0)


ROWS = [
    *(row(START, 100, seed, 0.84) for seed in (0, 1)),
    *(row(NETADAPT, 50, seed, 0.84) for seed in (0, 1)),
    *(row(UNIFORM, 50, seed, 0.80) for seed in (0, 1)),
    *(row(MULTIPLIER_WHOLE, percent, seed, accuracy) for seed in (0, 1) for percent, accuracy in
      ((100, 0.86), (70, 0.82), (50, 0.80), (35, 0.78))),
    row(UNIFORM + " doubled", 50, 0, 0.802),
]  # fmt: skip


@pytest.fixture
def points():
    return points_of(ROWS, LATENCIES)


def test_a_point_is_the_mean_over_seeds(points):
    point = points[NETADAPT, 50]
    assert (point.latency, point.spread, point.steps, point.minutes) == (0.5, 0.004, 120, 3.0)
    assert point.accuracy.points == pytest.approx(84.0)
    assert point.accuracy.low < 84.0 < point.accuracy.high
    difference = point.less(points[UNIFORM, 50])
    assert difference.points == pytest.approx(4.0)
    assert difference.resolved


def test_kinds_are_compared_over_the_seeds_that_both_have():
    points = points_of([*ROWS[:3], *ROWS[4:]], LATENCIES)  # the second seed's NetAdapt is missing
    assert list(points[NETADAPT, 50].rows) == [0]
    difference = points[UNIFORM, 50].less(points[NETADAPT, 50])
    assert difference is not None
    assert difference.points == pytest.approx(-4.0)
    other = points_of([row(UNIFORM, 50, 5, 0.8)], LATENCIES)[UNIFORM, 50]
    assert other.less(points[NETADAPT, 50]) is None


def test_the_others_may_be_compared_with_netadapt_at_the_larger_rate():
    at_larger_rate = NETADAPT + AT_LARGER_RATE
    points = points_of([*ROWS, *(row(at_larger_rate, 50, seed, 0.86) for seed in (0, 1))], LATENCIES)
    (line,) = [line for line in table(points, at_larger_rate).splitlines() if f"| {NETADAPT} |" in line]
    assert "| -2.00 (" in line
    said = verdict(points, at_larger_rate)
    assert "At 50 %: above netadapt at a rate of 0.15 none; below it netadapt, " in said
    assert "At 50 %: netadapt at a rate of 0.15 less start, points: +2.00" in said
    assert speed_ups(points, against=at_larger_rate)[50].times == pytest.approx(1.0 / 0.5)


def test_rows_that_were_never_timed_stand_in_no_table():
    assert points_of([row(NETADAPT, 50, 0, 0.8, filters=3)], LATENCIES) == {}


def test_the_table_compares_with_netadapt_at_the_same_budget(points):
    lines = {tuple(cell.strip() for cell in line.split("|")[1:3]): line for line in table(points).splitlines()[2:]}
    assert list(lines) == [
        ("100 %", START),
        ("100 %", MULTIPLIER_WHOLE),
        ("70 %", MULTIPLIER_WHOLE),
        ("50 %", NETADAPT),
        ("50 %", MULTIPLIER_WHOLE),
        ("50 %", UNIFORM),
        ("35 %", MULTIPLIER_WHOLE),
    ]
    assert "| 50.0% (0.4%) | 80.00 (" in lines["50 %", UNIFORM]
    assert "| -4.00 (" in lines["50 %", UNIFORM]
    assert lines["50 %", NETADAPT].endswith("|  | 120 | 3.0 | 2 |")


def test_doubled_rows_are_compared_with_what_they_double(points):
    line = convergence(points).splitlines()[-1]
    assert line.startswith("| uniform | 50 % | +0.20 (")


def test_the_verdict_names_who_is_above_and_how_much_slower_a_multiplier_is(points):
    said = verdict(points)
    assert "At 50 %: above netadapt none; below it multiplier for the whole compute, uniform;" in said
    assert "At 50 %: netadapt less start, points: +0.00 (+0.00 to +0.00, not resolvable)." in said
    assert speed_ups(points)[50].times == pytest.approx(0.85 / 0.5)
    assert "At 50 %: faster than an equally accurate multiplier for the whole compute: 1.70x (" in said
    without = {key: point for key, point in points.items() if key != (MULTIPLIER_WHOLE, 100)}
    assert speed_ups(without)[50].times == pytest.approx(1.0 / 0.5), "the start ends the curve"
    better = points_of([*ROWS, *(row("multiplier", 50, seed, 0.9) for seed in (0, 1))], LATENCIES)
    assert "At 50 %: above netadapt multiplier; below" in verdict(better)


def test_what_the_training_on_the_way_was_worth_is_said():
    rows = [row(kind, 50, 0, accuracy) for kind, accuracy in (("netadapt", 0.8), ("netadapt cut at once", 0.7))]
    assert "At 50 %: netadapt less netadapt cut at once, points: +10.00" in verdict(points_of(rows, LATENCIES))


def test_what_other_searches_leave_of_the_regularisers_lead_is_said():
    otherwise = "netadapt by hold-out loss"
    accuracies = (("MorphNet-style", 0.9), (otherwise, 0.8), ("netadapt doubled", 0.7))
    said = verdict(points_of([row(kind, 50, 0, accuracy) for kind, accuracy in accuracies], LATENCIES))
    assert f"At 50 %: MorphNet-style less {otherwise}, points: +10.00" in said
    assert "At 50 %: MorphNet-style less netadapt doubled, points: +20.00" in said


def test_latencies_and_points_are_kept(points, tmp_path):
    assert read_latencies(tmp_path / "latencies.csv") == {}
    write_latencies(tmp_path / "latencies.csv", LATENCIES)
    assert read_latencies(tmp_path / "latencies.csv") == LATENCIES
    write_points(tmp_path / "points.csv", points)
    with open(tmp_path / "points.csv", newline="") as file:
        kept = list(csv.DictReader(file))
    assert len(kept) == len(points)
    assert kept[1] == kept[1] | {"kind": NETADAPT, "percent": "50", "seeds": "2", "latency": "0.5", "accuracy": "84"}


def test_the_picture_is_drawn(points, tmp_path):
    draw_comparison([*points.values()], tmp_path / "new" / "picture.png")
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_what_a_user_would_do_instead(points):
    tried = points_of([row("netadapt by Taylor", 50, 0, 0.8)], LATENCIES)
    curves = curves_of([*points.values(), *tried.values()])
    assert list(curves) == [START, NETADAPT, MULTIPLIER_WHOLE, UNIFORM]
    assert [point.latency for point in curves[MULTIPLIER_WHOLE]] == [0.35, 0.5, 0.7, 1.0]
    assert list(curves_of([*tried.values()])) == ["netadapt by Taylor"], "an empty picture says nothing"
