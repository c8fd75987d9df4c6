import dataclasses
import sqlite3
from contextlib import closing

import pytest

from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.resources.tabled_latency import TabledLatency
from tests.fake_meter import FakeMeter
from tests.tiny_networks import tiny_cnn
from tflite_bench.errors import UserError
from tflite_bench.table_filling import CALL
from tflite_bench.target import parse_target

TARGET = parse_target("android/cpu:1")
NARROW = {"first": 4, "second": 8}


class OtherPhone(FakeMeter):
    def fingerprint(self):
        return {"model": "Other"}


@pytest.fixture
def groups():
    return find_channels(tiny_cnn()).groups


@pytest.fixture
def deployed(cnn_tflite, groups) -> DeployedNetwork:
    return DeployedNetwork(cnn_tflite, groups)


@pytest.fixture
def measured(deployed, groups, tmp_path) -> Latency:
    """What was measured where the phone is: the starting network and a narrow one."""
    latency = Latency(deployed, widths_of(groups), TARGET, FakeMeter(), tmp_path / "table")
    latency.prepare([widths_of(groups), NARROW])
    return latency


def test_it_predicts_what_the_measured_one_does(measured, deployed, groups, tmp_path):
    start = widths_of(groups)
    tabled = TabledLatency(deployed, start, parse_target("android:S1+S2/cpu:1"), tmp_path / "table")
    for widths in (start, NARROW):
        assert tabled.predict(widths) == measured.predict(widths)
    assert tabled.measure(NARROW).start == measured.predict(start)
    assert tabled.measure(NARROW).value == measured.predict(NARROW)
    assert tabled.verdict(b"", b"", NARROW) == tabled.measure(NARROW)
    assert tabled.fingerprint == measured.fingerprint
    assert tabled.call_ms() == measured.call_ms()


def test_a_table_of_joined_layers_is_read_as_one(deployed, groups, tmp_path):
    start, target = widths_of(groups), parse_target("android/gpu")
    measured = Latency(deployed, start, target, FakeMeter(delegated=True), tmp_path / "table")
    measured.prepare([start, NARROW])
    tabled = TabledLatency(deployed, start, target, tmp_path / "table")
    assert tabled.predict(NARROW) == measured.predict(NARROW) < measured.predict(start)
    assert [layer.kinds for layer, _ in tabled.by_layer(start)] == [
        layer.kinds for layer, _ in measured.by_layer(start)
    ]


def test_what_it_lacks_is_infinite_and_no_measurement(measured, deployed, groups, tmp_path):
    tabled = TabledLatency(deployed, widths_of(groups), TARGET, tmp_path / "table")
    lacking = {"first": 6, "second": 8}
    assert tabled.predict(lacking) == float("inf")
    with pytest.raises(UserError, match=r"lacks \d+ entries, for example .*fill_table"):
        tabled.measure(lacking)


def test_another_targets_entries_are_never_used(measured, deployed, groups, tmp_path):
    for target in ("android/cpu:2", "android/gpu", "host/cpu:1", "android/cpu:1,xnnpack=false"):
        with pytest.raises(UserError, match="no entries for this network; it holds entries for android/cpu:1: fill"):
            TabledLatency(deployed, widths_of(groups), parse_target(target), tmp_path / "table")


def test_entries_for_networks_of_another_size_are_said_to_be_there(measured, mobilenet, mobilenet_tflite, tmp_path):
    groups = find_channels(mobilenet).groups
    with pytest.raises(UserError, match="1 sets of entries measured for networks of another size"):
        TabledLatency(DeployedNetwork(mobilenet_tflite, groups), widths_of(groups), TARGET, tmp_path / "table")


def test_of_two_devices_none_is_chosen_silently(measured, deployed, groups, tmp_path):
    Latency(deployed, widths_of(groups), TARGET, OtherPhone(), tmp_path / "table").prepare([NARROW])
    with pytest.raises(UserError) as error:
        TabledLatency(deployed, widths_of(groups), TARGET, tmp_path / "table")
    said = str(error.value)
    assert "differ in cpu (imagined; not known), model (not known; Other); export" in said
    assert "--device=TEXT --export=FILE, where TEXT is one of these values, and import it" in said


class OtherTool(FakeMeter):
    def fingerprint(self):
        return {"cpu": "imagined", "tool": "another"}


class OtherStatistic(FakeMeter):
    procedure = dataclasses.replace(FakeMeter.procedure, statistic="mean of everything")


def test_it_is_said_in_what_sets_of_entries_differ(measured, deployed, groups, tmp_path):
    def refusal(meter) -> str:
        Latency(deployed, widths_of(groups), TARGET, meter, tmp_path / "table").prepare([NARROW])
        with pytest.raises(UserError) as error:
            TabledLatency(deployed, widths_of(groups), TARGET, tmp_path / "table")
        return str(error.value)

    said = refusal(OtherStatistic())
    assert "differ in statistic (median of 3 passes, each imagined; median of 3 passes, each mean of" in said
    assert "export the statistic you mean alone" in said
    assert "--device" not in said
    said = refusal(OtherTool())
    assert "differ in tool (not known; another), statistic (" in said
    assert "one of these values but no statistic" in said


def test_without_what_a_call_costs_nothing_is_known(measured, deployed, groups, tmp_path):
    with closing(sqlite3.connect(tmp_path / "table")) as database, database:
        database.execute("DELETE FROM entries WHERE signature = ?", [CALL])
    tabled = TabledLatency(deployed, widths_of(groups), TARGET, tmp_path / "table")
    with pytest.raises(UserError, match="lacks 1 entries, for example CALL, what one run costs"):
        tabled.measure(NARROW)
    Latency(deployed, widths_of(groups), TARGET, FakeMeter(), tmp_path / "table").prepare([NARROW])
    assert TabledLatency(deployed, widths_of(groups), TARGET, tmp_path / "table").measure(NARROW) == Measurement(
        measured.predict(widths_of(groups)), measured.predict(NARROW)
    )


def test_an_empty_table_is_said_to_be_empty(deployed, groups, tmp_path):
    with pytest.raises(UserError, match="it holds no entries at all"):
        TabledLatency(deployed, widths_of(groups), TARGET, tmp_path / "empty")
