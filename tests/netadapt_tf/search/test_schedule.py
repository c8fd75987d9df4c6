import pytest

from netadapt_tf.search.schedule import Schedule


def test_steps_decay_and_never_aim_below_the_budget():
    schedule = Schedule(initial_reduction=0.1, decay=0.5)
    assert schedule.constraint(1, start=10, current=10, limit=6) == pytest.approx(9.0)
    assert schedule.constraint(2, start=10, current=9, limit=6) == pytest.approx(8.5)
    assert schedule.constraint(1, start=10, current=6.4, limit=6) == 6
    assert schedule.constraint(5, start=10, current=5.9, limit=6) == 6


def test_iterations_left_are_those_that_just_meet_their_constraints():
    schedule = Schedule(initial_reduction=0.1, decay=0.9)
    cost, iterations = 100.0, 0
    while cost > 60:
        iterations += 1
        cost = schedule.constraint(iterations, 100, cost, 60)
    assert schedule.iterations_left(0, 100, 100, 60) == iterations
    assert schedule.iterations_left(2, 100, schedule.constraint(2, 100, 90, 60), 60) == iterations - 2
    assert schedule.iterations_left(0, 100, 60, 60) == 0
    assert schedule.iterations_left(0, 100, 60 + 1e-9, 60) == 1


def test_steps_that_never_add_up_are_known():
    assert Schedule(initial_reduction=0.1, decay=0.5).iterations_left(0, 100, 100, 70) is None
