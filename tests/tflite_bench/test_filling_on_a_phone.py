from collections import Counter
from statistics import median

import numpy as np
import pytest

from tests.emulated_android import EmulatedDevice, ToolFault
from tests.tflite_bench.phones import CPU, QUICK, meters, phones, sha256
from tests.tiny_networks import tiny_cnn
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.profile_filling import PROFILE_STATISTIC, PROFILED, fill_from_profiles
from tflite_bench.reference import reference_network
from tflite_bench.sizing import sized
from tflite_bench.table_filling import CALL, Caches, fill, statistic
from tflite_bench.target import parse_target
from tflite_bench.tool_meter import ToolMeter
from tflite_bench.unfinished import Unfinished

STEADY = "android/cpu:1,min_secs=0.02,warmup_min_secs=0.01,warmup_runs=1"
CACHES = Caches(1)  # one instance of each layer


@pytest.fixture
def graph(cnn_tflite) -> Graph:
    return Graph(cnn_tflite)


@pytest.fixture
def layers(graph):
    return {layer_signature(graph, layer): layer for layer in sized(graph, {})}


def open_table(path, meter) -> LatencyTable:
    context = Context("android/cpu:1", meter.fingerprint(), str(CACHES), statistic(meter.procedure))
    return LatencyTable(path, context)


def finished_runs(phone: EmulatedDevice) -> Counter[str]:
    return Counter(run.model_sha256 for run in phone.runs if run.exit_status == 0 and run.model_sha256)


def test_what_was_measured_before_the_phone_went_away_is_not_measured_again(
    phone, adb_server, binary, graph, layers, tmp_path, monkeypatch
):
    monkeypatch.setattr("tflite_bench.tool_meter._MAX_DRIFT", 1000.0)  # this machine may be busy
    monkeypatch.setattr("tflite_bench.drift._MAX_TRIES", 1)
    path = tmp_path / "table"
    with meters(binary) as ways:
        meter = ways.of(parse_target(CPU))
        table = open_table(path, meter)
        phone.vanish_after_run(len(phone.runs) + 22)  # nine of them for the call
        with pytest.raises(UserError, match="did not come back"):
            fill(table, meter, graph, layers, CACHES)
        assert len(table) == 1  # the call; the batch of layers is not finished
        assert len(Unfinished(table).readings(layers)) > 5
    phone.come_back()
    adb_server.run("disconnect", phone.serial, check=False)
    adb_server.connect(phone.serial)
    with meters(binary) as ways:
        meter = ways.of(parse_target(CPU))
        table = open_table(path, meter)
        assert fill(table, meter, graph, layers, CACHES) == set()
    assert len(table) == 1 + len(layers)
    runs = finished_runs(phone)
    often = [runs[sha256(one_layer_model(graph, layer))] for layer in layers.values()]
    assert sum(often) == 3 * len(layers) + 1  # three passes, and the run whose end nobody heard of
    assert Unfinished(table).readings(layers) == []


def test_a_layer_that_crashes_the_tool_costs_only_itself(phone, binary, graph, layers, tmp_path, monkeypatch):
    monkeypatch.setattr("tflite_bench.drift._MAX_TRIES", 1)
    crashing = sorted(layers)[1]
    phone.fail(ToolFault.CRASH, one_layer_model(graph, layers[crashing]))
    with meters(binary) as ways:
        meter = ways.of(parse_target(CPU))
        table = open_table(tmp_path / "table", meter)
        assert fill(table, meter, graph, layers, CACHES) == {crashing}
    assert len(table) == len(layers)
    crashed = [run for run in phone.runs if run.exit_status not in (0, 1)]
    assert len(crashed) == 1  # and is not tried in the other passes


def test_a_phone_that_gets_slower_is_noticed_and_the_batch_repeated(phone, binary, graph, layers, tmp_path):
    first, others = dict(list(layers.items())[:1]), dict(list(layers.items())[1:3])
    with meters(binary) as ways:
        meter = ways.of(parse_target(STEADY))
        table = open_table(tmp_path / "table", meter)
        fill(table, meter, graph, first, CACHES)
        runs = len(phone.runs)
        phone.slow_down(4.0, from_run=runs + 1)  # so much that a disturbed first reading cannot hide it
        fill(table, meter, graph, others, CACHES)
    drifts = {entry.signature: entry.drift for entry in table.entries()}
    assert all(drifts[signature] > 0.5 for signature in others)
    assert len(phone.runs) - runs == 3 * 3 * (len(others) + 2)  # three tries of three passes


def test_a_gpus_fixed_cost_is_measured_and_taken_off_every_layer(adb_server, binary, graph, layers, tmp_path):
    with phones(adb_server, {"gpu": True, "gpu_fixed_ms": 3.0}), meters(binary) as ways:
        meter = ways.of(parse_target(f"android/gpu,{QUICK}"))
        table = open_table(tmp_path / "table", meter)
        fill(table, meter, graph, layers, CACHES)
    assert table.latency_ms(CALL) > 2.9
    assert median(table.latency_ms(signature) for signature in layers) < 1.0


def test_operator_profiles_fill_a_table_too(phone, binary, graph, layers, tmp_path):
    with meters(binary) as ways:
        meter = ways.of(parse_target(f"{CPU},layers=profile"))
        assert isinstance(meter, ToolMeter)
        context = Context("android/cpu:1", meter.fingerprint(), PROFILED, PROFILE_STATISTIC)
        table = LatencyTable(tmp_path / "table", context)
        networks = [sized(graph, {}), sized(graph, {"first": 4})]
        wanted = {layer_signature(graph, layer) for network in networks for layer in network}
        assert fill_from_profiles(table, meter, graph, networks, wanted) == set()
    assert set(table.signatures()) == {CALL, *wanted}
    heavy = [signature for signature in wanted if signature.startswith("CONV_2D")]
    assert all(table.latency_ms(signature) > 0 for signature in heavy)
    assert finished_runs(phone)[sha256(reference_network())] >= 6


def test_two_phones_take_turns_at_every_layer(adb_server, binary, graph, layers, tmp_path, monkeypatch):
    monkeypatch.setattr("tflite_bench.drift._MAX_TRIES", 1)
    with phones(adb_server, {}, {}) as pair, meters(binary) as ways:
        meter = ways.of(parse_target(f"android:{pair[0].serial}+{pair[1].serial}/cpu:1,{QUICK}"))
        table = open_table(tmp_path / "table", meter)
        assert fill(table, meter, graph, layers, CACHES) == set()
        runs = [finished_runs(phone) for phone in pair]
    for layer in layers.values():
        model = sha256(one_layer_model(graph, layer))
        assert sorted(of_phone[model] for of_phone in runs) == [1, 2]
    assert all(of_phone[sha256(reference_network())] >= 2 * 3 for of_phone in runs)


def test_layers_of_an_int8_network_are_measured_as_such(phone, binary, tmp_path, monkeypatch):
    monkeypatch.setattr("tflite_bench.tool_meter._MAX_DRIFT", 1000.0)  # this machine may be busy
    images = np.random.default_rng(0).uniform(-1, 1, (16, 8, 8, 3)).astype(np.float32)
    graph = Graph(convert(tiny_cnn(), "int8", images))
    layers = {layer_signature(graph, layer): layer for layer in sized(graph, {"first": 4})}
    with meters(binary) as ways:
        meter = ways.of(parse_target(CPU))
        table = open_table(tmp_path / "table", meter)
        assert fill(table, meter, graph, layers, CACHES) == set()
    assert all(signature in table for signature in layers)
    assert sum("int8*[" in signature for signature in layers) == 4
    runs = finished_runs(phone)
    assert all(runs[sha256(one_layer_model(graph, layer))] == 3 for layer in layers.values())
