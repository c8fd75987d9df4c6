import re

import pytest

from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.start import check_reachable, is_reachable
from tflite_bench.errors import UserError


@pytest.mark.parametrize(("value", "spread", "reachable"), [(5.0, 0.0, True), (5.1, 0.0, False), (5.1, 0.2, True)])
def test_a_measurement_counts_as_within_the_limit_where_it_may_be(value, spread, reachable):
    assert is_reachable(5.0, Measurement(10.0, value, spread)) == reachable


def refusal(budget: str, unit: str, least: Measurement) -> str:
    with pytest.raises(UserError) as error:
        check_reachable(parse_budget(budget), unit, least)
    return str(error.value)


@pytest.mark.parametrize(
    ("budget", "unit", "least", "said", "suggested"),
    [
        ("macs=10K", "MACs", Measurement(999999, 56330), "10,000 MACs, .* still costs 56,330 MACs, 5.6%", "macs=56.4K"),
        (
            *("latency@host/cpu:1=20%", "ms", Measurement(0.1, 0.031234, 0.0005)),
            *("0.02 ms, .* still costs 0.03123 ms, 31.2%", "latency@host/cpu:1=31.8%"),
        ),
        ("tflite_bytes=10", "bytes", Measurement(2e6, 180068), "10 bytes, .* 180,068 bytes", "tflite_bytes=181000"),
    ],
)
def test_a_refusal_suggests_a_budget_that_is_not_refused(budget, unit, least, said, suggested):
    sentence = refusal(budget, unit, least)
    assert re.search(said, sentence)
    assert sentence.endswith(f"; ask for {suggested} or more")
    check_reachable(parse_budget(suggested), unit, least)


def test_where_no_percentage_helps_none_is_suggested():
    sentence = refusal("latency@host/cpu:1=100%", "ms", Measurement(1.0, 1.2, 0.1))
    assert sentence.endswith("; no percentage can be reached")


def test_what_can_be_reached_passes():
    check_reachable(parse_budget("macs=60%"), "MACs", Measurement(1000, 600))
