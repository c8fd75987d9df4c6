import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.list_scheduling import Recorded, makespan_s, recorded, search_s, summary, table
from tflite_bench.errors import UserError

SECONDS = st.floats(0.0, 1e4)


def proposal(wall_s: float, event: str = "proposal") -> dict:
    return {"event": event, "iteration": 1, "wall_s": wall_s}


def iteration(number: int = 1, **wall_s: float) -> dict:
    return {"event": "iteration", "iteration": number, "wall_s": wall_s}


def test_each_task_goes_to_the_worker_that_is_free_first():
    assert makespan_s([3.0, 1.0, 1.0, 2.0], 1) == 7.0
    assert makespan_s([3.0, 1.0, 1.0, 2.0], 2) == 4.0  # 3 | 1, 1, 2
    assert makespan_s([1.0, 1.0, 3.0], 2) == 4.0  # in order: the longest is not taken first
    assert makespan_s([], 8) == 0.0


@given(st.lists(SECONDS, min_size=1, max_size=30), st.integers(1, 70))
def test_more_workers_are_never_slower_and_never_faster_than_the_longest_task(durations_s, workers):
    makespan = makespan_s(durations_s, workers)
    assert makespan_s(durations_s, workers + 1) <= makespan * (1 + 1e-9)
    assert makespan >= max(durations_s)
    assert makespan >= sum(durations_s) / workers * (1 - 1e-9)
    assert math.isclose(makespan_s(durations_s, 1), sum(durations_s))


@given(st.lists(SECONDS, min_size=1, max_size=10), st.integers(1, 70))
def test_a_search_is_never_slower_with_more_workers(durations_s, workers):
    iterations = [Recorded(2.0, 1.0, (tuple(durations_s), tuple(durations_s[:2])))] * 3
    slower, faster = search_s(iterations, workers), search_s(iterations, workers + 1)
    assert faster <= slower * (1 + 1e-9)
    assert faster >= 3 * (2.0 + 1.0 + max(durations_s))


def test_what_the_search_does_alone_and_the_tracing_are_taken_apart():
    events = [
        iteration(0, convert=50.0),
        {"event": "proposal", "iteration": 1, "wall_s": 4.0},
        *map(proposal, (1.0, 1.5, 2.0)),
        iteration(1, short_term=8.5, search_overhead=1.5),
    ]
    (one,) = recorded(events)
    assert one == Recorded(1.5, 2.5, ((1.5, 1.0, 1.5, 2.0),))
    assert one.wall_s(1) == 10.0
    assert one.wall_s(64) == 1.5 + 2.5 + 2.0


def test_screening_is_a_round_of_its_own_and_a_failed_proposal_took_its_time():
    events = [
        *(proposal(seconds, "screened") for seconds in (3.0, 1.0, 1.0)),
        proposal(1.0, "failed"),
        *map(proposal, (5.0, 4.0)),
        iteration(short_term=15.0),
    ]
    (one,) = recorded(events)
    assert one == Recorded(0.0, 2.0, ((1.0, 1.0, 1.0, 1.0), (5.0, 4.0)))
    assert one.wall_s(2) == 2.0 + 2.0 + 5.0


def test_an_iteration_without_other_proposals_has_no_tracing_to_be_told_apart():
    assert recorded([proposal(4.0), iteration(short_term=4.0)]) == [Recorded(0.0, 0.0, ((4.0,),))]


def test_rounding_alone_is_no_reason_to_refuse():
    (one,) = recorded([proposal(1.01), proposal(1.01), iteration(short_term=2.0)])
    assert one.alone_s == 0.0


def test_proposals_that_ran_side_by_side_or_before_an_interruption_are_refused():
    with pytest.raises(UserError, match="iteration 1 took longer than the iteration"):
        recorded([proposal(3.0), proposal(3.0), iteration(short_term=4.0)])


def test_a_journal_of_the_start_alone_is_refused():
    with pytest.raises(UserError, match="no iteration"):
        recorded([iteration(0, convert=50.0), proposal(1.0)])


def test_the_table_compares_with_one_worker():
    iterations = [Recorded(30.0, 0.0, ((60.0, 60.0, 60.0),))]
    assert table(iterations, [1, 3]).splitlines()[2:] == ["| 1 | 3.50 | 1.0 |", "| 3 | 1.50 | 2.3 |"]
    assert summary(iterations).startswith("1 iterations of 3 to 3 proposals, 3.50 minutes: 14% is what the search does")
