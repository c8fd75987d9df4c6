import pytest

from netadapt_tf.search.schedule import Schedule


def test_steps_decay_and_never_aim_below_the_budget():
    schedule = Schedule(initial_reduction=0.1, decay=0.5)
    assert schedule.constraint(1, start=10, current=10, limit=6) == pytest.approx(9.0)
    assert schedule.constraint(2, start=10, current=9, limit=6) == pytest.approx(8.5)
    assert schedule.constraint(1, start=10, current=6.4, limit=6) == 6
    assert schedule.constraint(5, start=10, current=5.9, limit=6) == 6
