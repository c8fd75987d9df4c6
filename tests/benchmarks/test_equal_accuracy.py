import numpy as np
import pytest

from benchmarks.equal_accuracy import isotonic, latency_at, speed_up

LATENCIES = np.array([0.35, 0.5, 0.7, 1.0])


def test_neighbours_in_the_wrong_order_share_their_mean():
    np.testing.assert_allclose(isotonic(np.array([1.0, 3.0, 2.0, 4.0])), [1.0, 2.5, 2.5, 4.0])
    np.testing.assert_allclose(isotonic(np.array([4.0, 3.0, 2.0])), [3.0, 3.0, 3.0])
    np.testing.assert_allclose(isotonic(np.array([1.0, 2.0])), [1.0, 2.0])


@pytest.mark.parametrize(
    ("accuracy", "latency"), [(0.80, 0.35), (0.81, 0.425), (0.82, 0.5), (0.84, 1.0), (0.5, 0.35), (0.841, float("inf"))]
)
def test_the_latency_of_an_accuracy_is_read_off_the_curve(accuracy, latency):
    accuracies = np.array([0.80, 0.82, 0.83, 0.84])
    assert latency_at(accuracy, LATENCIES, accuracies) == pytest.approx(latency)


def test_where_the_curve_is_flat_the_fastest_counts():
    assert latency_at(0.82, LATENCIES, np.array([0.8, 0.82, 0.82, 0.82])) == pytest.approx(0.5)


def answers(*accuracies: float, seeds: int = 3, images: int = 1500) -> np.ndarray:
    """bool [points, seeds, N], independent of each other."""
    generator = np.random.default_rng(1)
    return np.stack([generator.random((seeds, images)) < accuracy for accuracy in accuracies])


def test_the_interval_holds_the_speed_up_and_is_wide_where_the_curve_is_flat():
    steep, flat = answers(0.6, 0.7, 0.8, 0.9), answers(0.798, 0.799, 0.8, 0.801)
    right = answers(0.8)[0]
    known = speed_up(right, 0.35, steep, LATENCIES)
    assert known.reached
    assert known.low < known.times < known.high
    assert known.times == pytest.approx(2.0, abs=0.1)
    assert known.high - known.low < 0.5
    unknown = speed_up(right, 0.35, flat, LATENCIES)
    assert unknown.high - unknown.low > 1.0
    assert 0.0 < unknown.unreached < 1.0


def test_seeds_that_disagree_leave_more_open():
    steep = answers(0.6, 0.7, 0.8, 0.9)
    agreeing, disagreeing = answers(0.75)[0], answers(0.65, 0.75, 0.85, seeds=1)[:, 0]
    widths = [(found := speed_up(right, 0.35, steep, LATENCIES)).high - found.low for right in (agreeing, disagreeing)]
    assert widths[1] > 2 * widths[0]


def test_where_no_multiplier_is_as_accurate_that_is_said():
    result = speed_up(answers(0.95)[0], 0.35, answers(0.6, 0.7, 0.8, 0.9), LATENCIES)
    assert not result.reached
    assert (result.times, result.unreached) == (pytest.approx(1 / 0.35), 1.0)
    assert str(result) == "more than 2.86x (from 2.86x): no multiplier reaches it"
