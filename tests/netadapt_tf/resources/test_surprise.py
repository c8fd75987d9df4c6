import itertools
from collections.abc import Iterable

import pytest

from netadapt_tf.resources.resource import Measurement
from netadapt_tf.resources.surprise import settled


class Clock:
    """Answers with these ratios, one after the other, of starting networks that take so long."""

    def __init__(self, *ratios: float, starts: Iterable[float] | None = None) -> None:
        self.left = [
            Measurement(start, ratio * start, 0.1)
            for start, ratio in zip(starts or itertools.count(100), ratios, strict=False)
        ]

    def __call__(self) -> Measurement:
        return self.left.pop(0)


@pytest.mark.parametrize(("expected", "ratio"), [(0.5, 0.5), (0.5, 0.52), (0.5, 0.48), (None, 0.9)])
def test_what_is_as_expected_is_measured_once(expected, ratio):
    clock = Clock(ratio, 99.0)
    assert settled(clock, expected, 100, "latency") == Measurement(100, ratio * 100, 0.1)
    assert len(clock.left) == 1


@pytest.mark.parametrize("ratios", [(0.58, 0.501, 0.499), (0.58, 0.499, 0.501), (0.4, 0.501, 0.6)])
def test_of_a_surprise_and_two_more_the_middle_one_counts(ratios, caplog):
    caplog.set_level("INFO", logger="absl")
    settled_on = settled(Clock(*ratios), 0.5, 100, "latency@host/cpu:1")
    assert settled_on.value / settled_on.start == sorted(ratios)[1] == 0.501
    more = "16 % more" if ratios[0] > 0.5 else "20 % less"
    assert f"latency@host/cpu:1 is {more} than expected; it is measured twice more" in caplog.text


def test_what_cannot_be_known_is_asked_once():
    clock = Clock(float("inf"), 1.0)
    assert settled(clock, 0.5, None, "own").value == float("inf")
    assert len(clock.left) == 1


@pytest.mark.parametrize(
    ("starts", "counts", "pauses_s"),
    [
        ((105, 100, 100), 105, []),
        ((90, 100, 100), 90, []),
        ((106, 105, 100), 105, [2.0]),
        ((130, 116, 101), 101, [2.0, 4.0]),
        ((120, 140, 130), 120, [2.0, 4.0]),
        ((130, 120, 140), 120, [2.0, 4.0]),
    ],
)
def test_where_the_start_is_slower_than_usual_it_is_measured_again(starts, counts, pauses_s):
    paused_s: list[float] = []
    settled_on = settled(Clock(0.5, 0.5, 0.5, starts=starts), 0.5, 100, "latency", paused_s.append)
    assert (settled_on.start, paused_s) == (counts, pauses_s)


def test_a_disturbance_is_no_reason_to_believe_its_ratio(caplog):
    caplog.set_level("INFO", logger="absl")
    clock = Clock(0.6, 0.5, 99.0, starts=(120, 100, 100))
    assert settled(clock, 0.5, 100, "latency@host/cpu:1", lambda _: None).value == 50
    assert len(clock.left) == 1
    said = "latency@host/cpu:1: the starting network took 20 % longer than at first"
    assert said in caplog.text


def test_where_it_is_not_known_what_is_usual_nothing_is_disturbed():
    assert settled(Clock(0.5, 0.4, starts=(200, 100)), None, None, "latency").start == 200
