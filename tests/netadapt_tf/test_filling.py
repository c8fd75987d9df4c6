import dataclasses
import time

import pytest

from netadapt_tf.fill_table import _text
from netadapt_tf.filling import Filling, FillingPlan
from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.tabled_latency import TabledLatency
from tests.fake_meter import FakeMeter
from tests.tiny_networks import tiny_cnn
from tflite_bench.target import parse_target

TARGET = parse_target("android/cpu:1")


def test_a_filled_table_answers_for_every_network_of_a_search(cnn_tflite, tmp_path):
    network = tiny_cnn()
    filling = Filling(network, TARGET, FakeMeter(), tmp_path / "table", 8)
    plan = filling.plan()
    assert sorted(plan.missing) == sorted(plan.layers)
    assert plan.seconds > 0
    assert filling.run(plan) == set()

    groups = find_channels(network).groups
    tabled = TabledLatency(DeployedNetwork(cnn_tflite, groups), widths_of(groups), TARGET, tmp_path / "table")
    for first in (4, 8):
        for second in (4, 8, 12):
            assert tabled.predict({"first": first, "second": second}) < float("inf")


def test_what_is_there_is_not_measured_again(tmp_path):
    Filling(tiny_cnn(), TARGET, FakeMeter(), tmp_path / "table", 8).run(
        Filling(tiny_cnn(), TARGET, FakeMeter(), tmp_path / "table", 8).plan()
    )
    meter = FakeMeter()
    again = Filling(tiny_cnn(), TARGET, meter, tmp_path / "table", 8)
    plan = again.plan()
    assert (plan.missing, plan.networks, plan.seconds) == ([], [], 0.0)
    again.run(plan)
    assert meter.jobs == []


class SlowMeter(FakeMeter):
    """Takes its time over the reference network."""

    def __init__(self, places: int):
        super().__init__()
        self.procedure = dataclasses.replace(FakeMeter.procedure, places=places)

    def time(self, job):
        time.sleep(0.02)
        return super().time(job)


def test_phones_that_share_the_work_take_less_time(tmp_path):
    one, two = (Filling(tiny_cnn(), TARGET, SlowMeter(places), tmp_path / "table", 8).plan() for places in (1, 2))
    assert one.seconds == pytest.approx(3 * len(one.missing) * 0.02 * 1.25, rel=0.5)
    assert two.seconds == pytest.approx(one.seconds / 2, rel=0.3)


def test_what_there_is_to_do_is_said():
    plan = FillingPlan({}, ["a"] * 1200, [{"conv": number} for number in range(1500)], 7200.0)
    assert _text(plan, TARGET, False).startswith(
        "0 layers in the grid, 1,200 of them not in the table yet, in 1,500 networks"
    )
    assert "come on top" in _text(plan, TARGET, False)
    assert _text(dataclasses.replace(plan, missing=[]), TARGET, False).endswith("0 of them not in the table yet")


def test_what_was_flagged_is_measured_again_where_that_is_asked_for(tmp_path):
    unsteady = FakeMeter(reference_ms=lambda call: 1.0 + call % 2)
    filling = Filling(tiny_cnn(), TARGET, unsteady, tmp_path / "table", 8)
    filling.run(filling.plan())
    assert Filling(tiny_cnn(), TARGET, FakeMeter(), tmp_path / "table", 8).plan().missing == []
    again = Filling(tiny_cnn(), TARGET, FakeMeter(lambda _: 1.5), tmp_path / "table", 8, again_flagged=True)
    plan = again.plan()
    assert sorted(plan.missing) == sorted(plan.layers)
    assert again.run(plan) == set()
