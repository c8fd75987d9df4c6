import time

import pytest

from netadapt_tf.stopwatch import Stopwatch


def test_every_second_is_counted_once():
    clock = Stopwatch()
    with clock("work"):
        time.sleep(0.05)
    time.sleep(0.02)
    with clock("work"):
        time.sleep(0.05)
    first = clock.lap("rest")
    assert first["work"] >= 0.1
    assert first["rest"] >= 0.02
    assert clock.lap("rest")["rest"] < first["rest"] + first["work"]


def test_what_ends_in_an_error_counts_too():
    clock = Stopwatch()

    def failing_work():
        with clock("work"):
            time.sleep(0.02)
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        failing_work()
    assert clock.lap("rest")["work"] >= 0.02
