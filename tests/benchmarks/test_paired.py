import numpy as np
import pytest

from benchmarks.paired import paired_difference


def test_the_difference_is_that_of_the_accuracies():
    generator = np.random.default_rng(0)
    right, other = generator.uniform(size=(2, 2000)) < np.array([[0.9], [0.8]])
    difference = paired_difference(right, other)
    assert difference.points == pytest.approx(100 * (right.mean() - other.mean()))
    assert difference.low < difference.points < difference.high
    assert difference.resolved


def test_pairing_resolves_what_two_separate_intervals_would_not():
    other = np.arange(2000) % 5 > 0
    right = other.copy()
    right[:100:5] = True  # right wherever the other is, and on twenty images more: one point
    assert paired_difference(right, other).resolved
    assert not paired_difference(np.roll(other, 1), other).resolved


def test_the_interval_is_that_of_the_bootstrap():
    generator = np.random.default_rng(1)
    right, other = generator.uniform(size=(2, 500)) < 0.7
    resampled = [100 * (right[index] * 1.0 - other[index]).mean() for index in generator.integers(0, 500, (4000, 500))]
    difference = paired_difference(right, other)
    assert (difference.low, difference.high) == pytest.approx(tuple(np.percentile(resampled, [2.5, 97.5])), abs=0.4)


def test_seeds_that_disagree_leave_more_open_than_images_alone():
    generator = np.random.default_rng(2)
    other = generator.random(2000) < 0.8
    better, worse = other | (generator.random(2000) < 0.2), other & (generator.random(2000) < 0.95)
    one = paired_difference(better, other)
    both = paired_difference(np.stack([better, worse]), np.stack([other, other]))
    assert one.resolved
    assert both.low < both.points < both.high
    assert both.points == pytest.approx(100 * ((better.mean() + worse.mean()) / 2 - other.mean()))
    assert not both.resolved


def test_seeds_that_agree_leave_less_open_than_one():
    generator = np.random.default_rng(3)
    right, other = generator.random((2, 3, 2000)) < np.array([[[0.82]], [[0.8]]])
    one, every = paired_difference(right[0], other[0]), paired_difference(right, other)
    assert every.high - every.low < 0.8 * (one.high - one.low)
