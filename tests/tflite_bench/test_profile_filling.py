import pytest

from tests.fake_meter import CALL_MS, FakeProfiler
from tests.tiny_networks import tiny_cnn
from tflite_bench.convert import convert
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_models import resized_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.profile_filling import PROFILE_STATISTIC, PROFILED, fill_from_profiles
from tflite_bench.sizing import SizedOperator, sized
from tflite_bench.table_filling import CALL
from tflite_bench.timing import Job

PASSES = 3


@pytest.fixture
def table(tmp_path) -> LatencyTable:
    return LatencyTable(tmp_path / "table", Context("android/cpu:1", {}, PROFILED, PROFILE_STATISTIC))


@pytest.fixture(scope="module")
def graph(cnn_tflite) -> Graph:
    return Graph(cnn_tflite)


@pytest.fixture(scope="module")
def networks(graph) -> list[list[SizedOperator]]:
    return [sized(graph, {"first": filters}) for filters in (4, 5, 6)]


@pytest.fixture(scope="module")
def layers(graph, networks) -> dict[str, SizedOperator]:
    return {layer_signature(graph, layer): layer for network in networks for layer in network}


def fill(table, meter, graph, networks, layers) -> set[str]:
    return fill_from_profiles(table, meter, graph, networks, set(layers))


def test_means_are_added_to_means(table, graph, networks, layers):
    assert fill(table, FakeProfiler(), graph, networks, layers) == set()
    assert table.latency_ms(CALL) == pytest.approx(CALL_MS + 0.01)
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_a_layer_that_is_not_seen_in_every_pass_is_left_out(table, graph, networks, layers):
    victim = resized_model(graph, networks[1])

    class FailingOnce(FakeProfiler):
        def profile(self, job: Job):
            if job.tflite == victim and sum(one.tflite == victim for one in self.profiled) == 2:
                raise MeasurementError("the tool failed")
            return super().profile(job)

    failed = fill(table, FailingOnce(), graph, networks, layers)
    only_there = {layer_signature(graph, layer) for layer in networks[1]} - {
        layer_signature(graph, layer) for network in (networks[0], networks[2]) for layer in network
    }
    assert failed == only_there != set()
    assert set(table.signatures()) == {CALL, *layers} - failed


class InterruptedProfiler(FakeProfiler):
    """Interrupted before it profiles a certain network."""

    def __init__(self, profiles: int, reference_ms: float = 1.0, slow: float = 1.0):
        super().__init__(lambda call: reference_ms)
        self._profiles = profiles
        self._slow = slow

    def profile(self, job: Job):
        if len(self.profiled) > self._profiles:
            raise KeyboardInterrupt
        nodes = super().profile(job)
        return [type(node)(node.kind, node.name, node.latency_ms * self._slow) for node in nodes]


def interrupted(table, graph, networks, layers, meter: FakeProfiler) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill(table, meter, graph, networks, layers)


def test_profiles_before_an_interruption_are_kept(table, graph, networks, layers):
    interrupted(table, graph, networks, layers, InterruptedProfiler(4))
    assert len(table) == len({CALL})
    meter = FakeProfiler()
    assert fill(table, meter, graph, networks, layers) == set()
    assert len(meter.profiled) == PASSES * len(networks) - 4
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_profiles_of_a_session_that_was_slower_are_not_believed(table, graph, networks, layers):
    interrupted(table, graph, networks, layers, InterruptedProfiler(0))  # the call is measured
    interrupted(table, graph, networks, layers, InterruptedProfiler(7, reference_ms=2.0, slow=2.0))
    meter = FakeProfiler()
    fill(table, meter, graph, networks, layers)
    assert len(meter.profiled) == PASSES * len(networks)
    assert not any(entry.flagged for entry in table.entries())
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_a_finished_try_survives_an_interruption_in_the_next(table, graph, networks, layers):
    interrupted(table, graph, networks, layers, InterruptedProfiler(0))
    interrupted(table, graph, networks, layers, InterruptedProfiler(PASSES * len(networks) + 2, reference_ms=1.04))
    later = FakeProfiler(lambda call: 1.5)
    fill(table, later, graph, networks, layers)
    assert len(later.profiled) == 2 * PASSES * len(networks)
    assert all(entry.drift == pytest.approx(0.04) for entry in table.entries() if entry.signature != CALL)


def test_every_network_is_profiled_in_several_places(table, graph, networks, layers):
    meter = FakeProfiler(places=3)
    fill(table, meter, graph, networks, layers)
    for network in networks:
        tflite = resized_model(graph, network)
        assert sorted(job.place for job in meter.profiled if job.tflite == tflite) == [0, 1, 2]
    assert {job.place for job in meter.reference_jobs} == {0, 1, 2}


def test_layers_of_a_float16_network_are_found_by_where_its_file_has_them(table):
    """The operators that unpack its weights come first in the converter's file, and before their layers in ours."""
    graph = Graph(convert(tiny_cnn(), "float16"))
    networks = [sized(graph, {"first": filters}) for filters in (4, 5)]
    layers = {layer_signature(graph, layer): layer for network in networks for layer in network}
    assert fill(table, FakeProfiler(), graph, networks, layers) == set()
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_what_another_process_has_stored_meanwhile_stays(table, graph, networks, layers):
    theirs = next(iter(layers))
    fill(table, FakeProfiler(), graph, networks, {theirs: layers[theirs]})
    stored = {entry.signature: entry for entry in table.entries()}
    meter = FakeProfiler(lambda call: 1.5)
    assert fill(table, meter, graph, networks, layers) == set()
    kept = {entry.signature: entry for entry in table.entries()}
    assert kept[theirs] == stored[theirs]
    before = len(meter.profiled)
    assert fill(table, meter, graph, networks, layers) == set()
    assert len(meter.profiled) == before
