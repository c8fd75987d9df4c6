import re

import pytest
import tf_keras
from tf_keras import layers

from netadapt_tf.networks.locks import locks_of
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.start import check_reachable, reach, start_of, targets_of
from tests.tiny_networks import randomised, tiny_cnn
from tflite_bench.convert import convert
from tflite_bench.errors import UserError


@pytest.mark.parametrize(("value", "spread", "reachable"), [(5.0, 0.0, True), (5.1, 0.0, False), (5.1, 0.2, True)])
def test_a_measurement_counts_as_within_the_limit_where_it_may_be(value, spread, reachable):
    assert reach(parse_budget("macs=5"), "MACs", Measurement(10.0, value, spread)).possible == reachable


def refusal(budget: str, unit: str, least: Measurement) -> str:
    with pytest.raises(UserError) as error:
        check_reachable([reach(parse_budget(budget), unit, least)])
    return str(error.value)


@pytest.mark.parametrize(
    ("budget", "unit", "least", "said", "suggested"),
    [
        ("macs=10K", "MACs", Measurement(999999, 56330), "10,000 MACs, .* still costs 56,330 MACs, 5.6%", "macs=56.4K"),
        (
            *("latency@host/cpu:1=20%", "ms", Measurement(0.1, 0.031234, 0.0005)),
            *("0.02000 ms, .* still costs 0.03123 ms, 31.2%", "latency@host/cpu:1=31.8%"),
        ),
        ("tflite_bytes=10", "bytes", Measurement(2e6, 180068), "10 bytes, .* 180,068 bytes", "tflite_bytes=181000"),
    ],
)
def test_a_refusal_suggests_a_budget_that_is_not_refused(budget, unit, least, said, suggested):
    sentence = refusal(budget, unit, least)
    assert re.search(said, sentence)
    assert sentence.endswith(f"; ask for {suggested} or more")
    check_reachable([reach(parse_budget(suggested), unit, least)])


def test_where_no_percentage_helps_none_is_suggested():
    sentence = refusal("latency@host/cpu:1=100%", "ms", Measurement(1.0, 1.2, 0.1))
    assert sentence.endswith("; no percentage can be reached")


def test_what_can_be_reached_passes():
    check_reachable([reach(parse_budget("macs=60%"), "MACs", Measurement(1000, 600))])


def test_of_several_budgets_those_out_of_reach_are_named_and_what_the_others_could_reach():
    least = Measurement(1000, 300)
    reaches = [
        reach(parse_budget("macs=20%"), "MACs", least),
        reach(parse_budget("parameters=50%"), "parameters", least),
        reach(parse_budget("tflite_bytes=100"), "bytes", least),
    ]
    with pytest.raises(UserError) as error:
        check_reachable(reaches)
    sentence = str(error.value)
    assert "budget macs=20% cannot be reached" in sentence
    assert "ask for macs=30% or more; budget tflite_bytes=100 cannot" in sentence
    assert "ask for tflite_bytes=300 or more; " in sentence
    assert sentence.endswith("; budget parameters=50% can be met: 300 parameters is the least")


def test_latency_is_measured_on_every_target_named_or_here():
    named = [parse_budget(text) for text in ("latency@host/cpu:2=60%", "macs=60%", "latency@android/gpu=8ms")]
    assert list(map(str, targets_of(named))) == ["host/cpu:2", "android/gpu"]
    assert list(map(str, targets_of([parse_budget("macs=60%")]))) == ["host/cpu:1"]


def test_what_an_unknown_cost_allows_cannot_be_judged():
    unknown = Measurement(float("inf"), float("inf"))
    assert not reach(parse_budget("latency@android/cpu:1=60%"), "ms", unknown).possible
    assert refusal("latency@android/cpu:1=60%", "ms", unknown).endswith("is not known")


def test_filters_that_cannot_be_chosen_as_asked_are_refused_unless_they_are_locked(cnn_tflite):
    network = tiny_cnn()
    channels = find_channels(network)
    with pytest.raises(UserError, match=r"nothing else; second is not: choose another criterion, or lock=second$"):
        start_of(network, channels, cnn_tflite, "bn_scale")
    locked = find_channels(network, locks_of(channels, "second"))
    assert start_of(network, locked, cnn_tflite, "bn_scale").widths == {"first": 8}
    assert start_of(network, channels, cnn_tflite, "taylor").widths == {"first": 8, "second": 12}


def test_filters_that_only_the_tflite_locks_need_not_be_chosen():
    images = layers.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, name="normalised")(images)))
    x = layers.Permute((2, 1, 3), name="turn")(layers.Conv2D(8, 3, name="bare")(x))
    network = randomised(tf_keras.Model(images, layers.Dense(4, name="out")(layers.GlobalMaxPooling2D()(x))))
    channels = find_channels(network)
    assert channels.widths == {"normalised": 8, "bare": 8}
    start = start_of(network, channels, convert(network), "bn_scale")
    assert start.widths == {"normalised": 8}
    assert "turn" in start.locks["bare"]
