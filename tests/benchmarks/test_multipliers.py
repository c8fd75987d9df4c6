import json
from typing import Self

import pytest

from benchmarks import multipliers
from benchmarks.comparison_points import LATENCIES, Timed, write_latencies
from benchmarks.comparison_problem import Problem
from benchmarks.multipliers import Shapes
from netadapt_tf.resources import surprise
from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError
from tflite_bench.target import Target
from tflite_bench.timing import Comparison, Pair

PROBLEM = Problem("mobilenet_v1", 0.25, 64, "fashion_mnist", 5000, 1000, "host/cpu:1", (70, 35), 1, Settings())
WIDE, NARROW = {"conv1": 8}, {"conv1": 4}


@pytest.fixture
def folder(tmp_path):
    """With rows that were chosen on a machine on which the narrowest multiplier takes 35 %."""
    write_latencies(tmp_path / LATENCIES, {json.dumps(WIDE): Timed(0.69, 0.0), json.dumps(NARROW): Timed(0.35, 0.0)})
    return tmp_path


def shapes_here(folder, monkeypatch, *ratios: float) -> tuple[Shapes, list[list[str]]]:
    """The shapes on a machine on which every network takes this much, at last for good, and what was measured."""
    measured: list[list[str]] = []
    monkeypatch.setattr(multipliers, "_PAUSES_S", (0.001, 0.001))

    def latencies(_, shapes, measurings):
        measured.append(list(shapes))
        return {shape: Timed(ratios[min(len(measured), len(ratios)) - 1], 0.0) for shape in shapes}

    monkeypatch.setattr(Shapes, "latencies", latencies)
    return Shapes(PROBLEM, 10, folder), measured


@pytest.mark.parametrize("ratio", [0.33, 0.37])
def test_the_same_machine_is_looked_at_once(folder, monkeypatch, ratio):
    shapes, measured = shapes_here(folder, monkeypatch, ratio)
    shapes.check_machine()
    shapes.check_machine()
    assert measured == [[json.dumps(NARROW)]], "the fastest, once"


def test_a_disturbed_machine_is_looked_at_again(folder, monkeypatch):
    shapes, measured = shapes_here(folder, monkeypatch, 0.44, 0.31, 0.36)
    shapes.check_machine()
    assert measured == 3 * [[json.dumps(NARROW)]]


@pytest.mark.parametrize("ratio", [0.31, 0.44])
def test_another_machine_is_refused(folder, monkeypatch, ratio):
    shapes, _ = shapes_here(folder, monkeypatch, ratio)
    with pytest.raises(
        UserError, match=rf"that took 35\.0% of .* takes {100 * ratio:.1f}% on this machine: go on with"
    ):
        shapes.multiplier(35)


def test_any_machine_may_begin(tmp_path, monkeypatch):
    shapes, measured = shapes_here(tmp_path, monkeypatch, 0.44)
    shapes.check_machine()
    assert not measured


class BusyMeter:
    """Every second comparison is disturbed: all takes longer, the second network most."""

    def __init__(self, _: Target) -> None:
        self.asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def compare(self, _: Pair) -> Comparison:
        self.asked += 1
        first_ms, second_ms = (1.2, 0.9) if self.asked % 2 == 0 else (1.0, 0.5)
        return Comparison(first_ms, second_ms, second_ms / first_ms, 0.01, 7, 7)


def test_what_was_disturbed_is_timed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(multipliers, "HostMeter", BusyMeter)
    monkeypatch.setattr(surprise, "_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(Shapes, "timed", lambda *_: b"")
    shapes = [json.dumps(WIDE), json.dumps(NARROW)]
    assert Shapes(PROBLEM, 10, tmp_path).latencies(shapes, 3) == {shape: Timed(0.5, 0.0) for shape in shapes}
