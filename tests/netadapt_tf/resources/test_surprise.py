import pytest

from netadapt_tf.resources.resource import Measurement
from netadapt_tf.resources.surprise import settled


class Clock:
    """Answers with these ratios, one after the other, of starting networks that take longer and longer."""

    def __init__(self, *ratios: float) -> None:
        self.left = [Measurement(start, ratio * start, 0.1) for start, ratio in enumerate(ratios, 100)]

    def __call__(self) -> Measurement:
        return self.left.pop(0)


@pytest.mark.parametrize(("expected", "ratio"), [(0.5, 0.5), (0.5, 0.52), (0.5, 0.48), (None, 0.9)])
def test_what_is_as_expected_is_measured_once(expected, ratio):
    clock = Clock(ratio, 99.0)
    assert settled(clock, expected, "latency") == Measurement(100, ratio * 100, 0.1)
    assert len(clock.left) == 1


@pytest.mark.parametrize("ratios", [(0.58, 0.501, 0.499), (0.58, 0.499, 0.501), (0.4, 0.501, 0.6)])
def test_of_a_surprise_and_two_more_the_middle_one_counts(ratios, caplog):
    caplog.set_level("INFO", logger="absl")
    settled_on = settled(Clock(*ratios), 0.5, "latency@host/cpu:1")
    assert settled_on.value / settled_on.start == sorted(ratios)[1] == 0.501
    more = "16 % more" if ratios[0] > 0.5 else "20 % less"
    assert f"latency@host/cpu:1 is {more} than expected; it is measured twice more" in caplog.text


def test_what_cannot_be_known_is_asked_once():
    clock = Clock(float("inf"), 1.0)
    assert settled(clock, 0.5, "own").value == float("inf")
    assert len(clock.left) == 1
