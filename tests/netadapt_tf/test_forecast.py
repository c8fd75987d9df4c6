import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf import Datasets, Settings, UserError, dry_run
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.reporting.forecast import forecast_text
from tests.fake_meter import FakeMeter
from tests.tiny_adaptation import FakeMeters
from tests.tiny_networks import tiny_cnn
from tflite_bench.adapter import SOFTWARE, Adapter

SETTINGS = Settings(initial_reduction=0.2, short_term_steps=2, filter_multiple=2)


def datasets() -> Datasets:
    images = np.random.default_rng(0).uniform(-1, 1, (64, 8, 8, 3)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((images, np.arange(64) % 4)).batch(16)
    return Datasets(batches, batches, batches)


@pytest.fixture(scope="module")
def forecast():
    network = tiny_cnn()
    before = network.get_weights()
    result = dry_run(network, datasets(), ["macs=60%"], settings=SETTINGS)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new, "something was trained")
    return result


def test_it_knows_groups_layers_and_reach(forecast):
    (target,) = forecast.targets
    assert forecast.groups == find_channels(tiny_cnn()).groups
    assert {"first", "depthwise", "second", "classifier"} <= {layer.name for layer in target.layers}
    assert target.whole_ms > 0
    (reach,) = forecast.reaches
    assert reach.possible
    assert reach.least < reach.allowed < reach.now
    assert reach.allowed == pytest.approx(0.6 * reach.now)


def test_effort_is_in_proportion(forecast):
    effort = forecast.effort
    assert effort.iterations == 3  # 0.2, 0.192 and the rest of 0.4
    assert 1 <= effort.proposals_each <= 2
    assert effort.pretrain_s == 0
    assert effort.search_s > 0
    more = dataclasses.replace(SETTINGS, long_term_epochs=4000, pretrain_epochs=4000, distillation=0.0)
    longer = dry_run(tiny_cnn(), datasets(), ["macs=60%"], settings=more).effort
    assert longer.final_s == pytest.approx(longer.pretrain_s)
    assert longer.final_s > 10 * effort.final_s
    taught = dry_run(tiny_cnn(), datasets(), ["macs=60%"], settings=dataclasses.replace(more, distillation=0.5)).effort
    assert taught.final_s > taught.pretrain_s


def test_mid_term_fine_tunes_are_a_part_of_the_search(forecast):
    settings = dataclasses.replace(SETTINGS, mid_term_epochs=10000)
    recovering = dry_run(tiny_cnn(), datasets(), ["macs=60%"], settings=settings).effort
    assert recovering.search_s > 10 * forecast.effort.search_s


def test_the_budget_that_needs_most_iterations_decides(forecast):
    budgets = ["parameters=90%", "macs=60%", "tflite_bytes=100%"]
    several = dry_run(tiny_cnn(), datasets(), budgets, settings=SETTINGS)
    assert [reach.budget.text for reach in several.reaches] == budgets
    assert [reach.unit for reach in several.reaches] == ["parameters", "MACs", "bytes"]
    assert several.effort.iterations == forecast.effort.iterations == 3
    assert several.effort.proposals_each == forecast.effort.proposals_each


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "about 3 iterations of "),
        ({"iterations": 0}, "within budget already"),
        ({"iterations": None}, "initial_reduction"),
    ],
)
def test_the_text_says_it_all(forecast, change, said):
    effort = dataclasses.replace(forecast.effort, **change)
    text = forecast_text(dataclasses.replace(forecast, effort=effort))
    assert "budget macs=60%: can be met; now " in text
    assert "first: 8 filters" in text
    assert "classifier: 4 filters, locked" in text
    assert said in text


def test_what_cannot_be_met_is_said(forecast):
    (reach,) = forecast.reaches
    hopeless = dataclasses.replace(forecast, reaches=(dataclasses.replace(reach, possible=False),))
    text = forecast_text(hopeless)
    assert "CANNOT be met" in text
    assert "iterations" not in text


def test_filters_that_cannot_be_chosen_as_asked_are_refused():
    asked = dataclasses.replace(SETTINGS, filters="bn_scale")
    with pytest.raises(UserError, match=r"filters=bn_scale needs .*; second is not"):
        dry_run(tiny_cnn(), datasets(), ["macs=60%"], settings=asked)


class SoftwareGpu(FakeMeter):
    def fingerprint(self):
        return Adapter("SwiftShader", "driver 5", "Vulkan", SOFTWARE).fingerprint(allows_partial=True)


class SoftwareMeters(FakeMeters):
    def of(self, target):
        return SoftwareGpu(delegated=True)


def test_it_says_where_milliseconds_are_no_gpus(monkeypatch):
    monkeypatch.setattr("netadapt_tf.problem.Meters", SoftwareMeters)
    budget = "latency@host/gpu,allow_partial=true=60%"
    text = forecast_text(dry_run(tiny_cnn(), datasets(), [budget], settings=SETTINGS))
    assert "host/gpu,allow_partial=true: SwiftShader is a software driver" in text
    assert "host/gpu,allow_partial=true: what the GPU does not take ran on the CPU" in text
