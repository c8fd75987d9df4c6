import dataclasses
import math

import pytest

from benchmarks.accuracy import Trial, by_configuration, errors_table, sizes

TRIAL = Trial("a", start_ms=10.0, ratio=0.5, step_ratio=0.4, start_sum_ms=9.0, sum_ms=4.95, step_sum_ms=4.158)


def test_raw_error_is_of_the_sum_as_it_stands():
    assert TRIAL.measured_ms == 5.0
    assert TRIAL.raw == pytest.approx(4.95 / 5.0 - 1)


def test_corrections_divide_by_what_another_networks_sum_is_off():
    assert TRIAL.corrected_by_start == pytest.approx((4.95 / (9.0 / 10.0)) / 5.0 - 1)
    assert TRIAL.corrected_by_step == pytest.approx((4.158 / (4.95 / 5.0)) / 4.0 - 1)


def test_the_correction_is_the_one_that_the_search_applies():
    """`search.proposals`: the measured cost of the network over its prediction multiplies the next predictions."""
    correction = TRIAL.measured_ms / TRIAL.sum_ms
    measured_ms = TRIAL.step_ratio * TRIAL.start_ms
    assert TRIAL.corrected_by_step == pytest.approx(correction * TRIAL.step_sum_ms / measured_ms - 1)


def test_a_sum_that_is_off_by_a_factor_is_right_when_corrected():
    trial = Trial("a", start_ms=2.0, ratio=0.6, step_ratio=0.3, start_sum_ms=3.0, sum_ms=1.8, step_sum_ms=0.9)
    assert trial.raw == pytest.approx(0.5)
    assert trial.corrected_by_start == pytest.approx(0.0)
    assert trial.corrected_by_step == pytest.approx(0.0)


def test_sizes_leave_signs_aside():
    assert (sizes([-0.04, 0.01, 0.02]).median, sizes([-0.04, 0.01, 0.02]).largest) == (0.02, 0.04)
    assert math.isnan(sizes([]).median)


def test_configurations_stand_in_the_order_of_their_numbers():
    names = ["0.5, 224 px", "1, 64 px", "0.25, 128 px", "0.5, 64 px"]
    trials = [dataclasses.replace(TRIAL, configuration=name) for name in names]
    assert list(by_configuration(trials)) == ["0.25, 128 px", "0.5, 64 px", "0.5, 224 px", "1, 64 px"]


def test_the_table_names_every_error_and_what_they_come_to():
    other = Trial("b", 1.0, 1.0, 1.0, 1.0, 1.1, 1.1)
    text = errors_table([TRIAL, other, TRIAL])
    assert list(by_configuration([TRIAL, other, TRIAL])) == ["a", "b"]
    assert text.count("-1.0%") == 2
    all_of_them = sizes([TRIAL.raw, TRIAL.raw, other.raw])
    assert str(all_of_them) in text.splitlines()[-1]
