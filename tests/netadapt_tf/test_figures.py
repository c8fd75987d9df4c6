import math

import pytest

from netadapt_tf.figures import NOT_KNOWN, amount, column_ms, gain, number, score, share


@pytest.mark.parametrize(
    ("cost", "unit", "text"),
    [
        (56330.4, "MACs", "56,330 MACs"),
        (0.0312345, "ms", "0.03123 ms"),
        (0.02, "ms", "0.02000 ms"),
        (12345.6, "ms", "12,346 ms"),
        (8, "ms", "8 ms"),
        (8.0, "ms", "8 ms"),
        (2.39, "uJ", "2.390 uJ"),
        (math.nan, "uJ", "nan uJ"),
        (None, "ms", NOT_KNOWN),
    ],
)
def test_amounts_are_told_to_four_digits_or_in_full(cost, unit, text):
    assert amount(cost, unit) == text


def test_figures_have_no_bare_point():
    assert [number(value, 3) for value in (456.7, 45.67, 0.5, 7, None)] == ["457", "45.7", "0.500", "7", NOT_KNOWN]


def test_in_a_column_the_points_stand_below_each_other():
    assert [column_ms(latency_ms) for latency_ms in (1.0, 12.34567)] == ["1.0000", "12.3457"]


def test_accuracies_are_percentages_and_other_metrics_plain():
    assert score(0.9, "accuracy") == "90.00%"
    assert score(0.123456, "error") == "0.1235"
    assert score(None, "error") == NOT_KNOWN
    assert gain(0.9, 0.895, "accuracy") == "-0.50 points"
    assert gain(0.5, 0.75, "error") == "+0.25"
    assert gain(None, 0.75, "error") == NOT_KNOWN


def test_shares_are_percentages():
    assert [share(1, 3), share(2, 3, 0), share(None, 3), share(1, 0)] == ["33.3%", "67%", NOT_KNOWN, NOT_KNOWN]
