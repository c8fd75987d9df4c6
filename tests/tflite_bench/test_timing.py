import numpy as np
import pytest

from tflite_bench.timing import Reading, comparison, reading, share


def test_reading_is_the_median_of_the_loads():
    result = reading([np.array([1.0, 2.0, 9.0]), np.array([4.0, 4.0]), np.array([3.0])])
    assert result.latency_ms == pytest.approx(3.0)
    assert result.runs == 6
    assert result.p5_ms < result.latency_ms < result.p95_ms


def test_a_share_is_of_what_the_call_leaves():
    assert share(Reading(8.5, 4.5, 16.5, 11), call_ms=0.5, instances=4) == Reading(2.0, 1.0, 4.0, 11)


def test_a_share_is_never_negative():
    assert share(Reading(0.1, 0.1, 0.6, 1), call_ms=0.5, instances=1).latency_ms == 0.0


def test_what_slows_both_models_leaves_the_ratio():
    generator = np.random.default_rng(0)
    disturbance = generator.uniform(1, 3, (15, 40))
    result = comparison(disturbance * 2.0, disturbance * 1.0)
    assert result.ratio == pytest.approx(0.5)
    assert result.ratio_spread == pytest.approx(0.0)
    assert (result.loads, result.rounds) == (15, 600)


def test_spread_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        of_load = generator.normal(0.6, 0.02, (15, 1))
        result = comparison(np.ones((15, 9)), of_load * np.ones((15, 9)))
        covered += abs(result.ratio - 0.6) <= result.ratio_spread
    assert covered >= 170
