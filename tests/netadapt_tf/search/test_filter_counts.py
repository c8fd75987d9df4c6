import math

from hypothesis import given
from hypothesis import strategies as st

from netadapt_tf.search.filter_counts import candidate_filters, largest_that_meets


def test_candidates_are_multiples_and_at_least_one_stays():
    assert candidate_filters(64, 64, 8) == [8, 16, 24, 32, 40, 48, 56]
    assert candidate_filters(64, 12, 8) == [8]
    assert candidate_filters(64, 8, 8) == []
    assert candidate_filters(16, 16, 8) == [4, 8, 12]  # a small group: half the multiple
    assert candidate_filters(16, 4, 8) == []
    assert candidate_filters(31, 31, 8)[-1] == 28
    assert candidate_filters(32, 32, 8) == [8, 16, 24]
    assert candidate_filters(5, 5, 1) == [1, 2, 3, 4]


def test_the_top_of_the_stair_is_chosen():
    candidates = [8, 16, 24, 32, 40]
    stairs = [1.0, 1.0, 2.0, 2.0, 3.0]
    assert largest_that_meets(candidates, stairs, 2.5) == 32
    assert largest_that_meets(candidates, stairs, 2.0) == 32
    assert largest_that_meets(candidates, stairs, 1.9) == 16
    assert largest_that_meets(candidates, stairs, 0.9) is None
    assert largest_that_meets([], [], 1.0) is None


def test_a_lucky_reading_does_not_tempt():
    assert largest_that_meets([8, 16, 24, 32], [1.0, 2.0, 3.0, 1.9], 2.5) == 16


def test_what_could_not_be_measured_is_passed_over():
    assert largest_that_meets([8, 16, 24], [math.inf, 1.0, 2.0], 1.5) == 16
    assert largest_that_meets([8], [math.inf], 1.5) is None


def brute_force(candidates: list[int], costs: list[float], constraint: float) -> int | None:
    """By the definition: the largest candidate that, like every smaller one, meets the constraint."""
    best = None
    for position, filters in enumerate(candidates):
        if all(cost <= constraint for cost in costs[: position + 1]):
            best = filters
    return best


@given(st.lists(st.floats(0.0, 10.0), max_size=40), st.floats(0.0, 10.0))
def test_equals_brute_force(costs, constraint):
    candidates = [8 * (position + 1) for position in range(len(costs))]
    assert largest_that_meets(candidates, costs, constraint) == brute_force(candidates, costs, constraint)
