import math

import pytest

from netadapt_tf.networks.channel_groups import find_channel_groups, widths_of
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from tests.tiny_networks import tiny_cnn
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph, sized
from tflite_bench.reference import reference_network
from tflite_bench.target import parse_target
from tflite_bench.timing import Comparison, Job, Pair, Reading

TARGET = parse_target("host/cpu:1")


class FakeMeter:
    """Time is work: a millisecond for a million MACs, and 0.01 ms besides; the reference takes what it is told."""

    def __init__(self, reference_ms=lambda call: 1.0):
        self.jobs: list[bytes] = []
        self.references = 0
        self._reference_ms = reference_ms

    def fingerprint(self):
        return {"cpu": "imagined"}

    def time(self, job: Job) -> Reading:
        if job.tflite == reference_network():
            self.references += 1
            return Reading(self._reference_ms(self.references), 1, 1, 1)
        self.jobs.append(job.tflite)
        return Reading(work_ms(job.tflite), 0, 0, 1)

    def compare(self, pair: Pair) -> Comparison:
        first_ms, second_ms = work_ms(pair.first), work_ms(pair.second)
        return Comparison(first_ms, second_ms, second_ms / first_ms, 0.01, 1, 1)


def work_ms(tflite: bytes) -> float:
    return 0.01 + sum(layer.macs for layer in sized(Graph(tflite), {})) / 1e6


@pytest.fixture
def groups():
    return find_channel_groups(tiny_cnn())


def latency(cnn_tflite, groups, meter, path) -> Latency:
    return Latency(DeployedNetwork(cnn_tflite, groups), widths_of(groups), TARGET, meter, path)


def test_prediction_is_the_sum_over_the_layers(cnn_tflite, groups, tmp_path):
    deployed = DeployedNetwork(cnn_tflite, groups)
    resource = latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table")
    for widths in (widths_of(groups), {"first": 4, "second": 8}):
        expected = 0.01 * len(deployed.layers(widths)) + deployed.macs(widths) / 1e6
        assert resource.predict(widths) == pytest.approx(expected)


def test_only_what_is_missing_is_measured_and_it_is_kept(cnn_tflite, groups, tmp_path):
    meter = FakeMeter()
    resource = latency(cnn_tflite, groups, meter, tmp_path / "table")
    resource.prepare([widths_of(groups)])
    deployed = DeployedNetwork(cnn_tflite, groups)
    known = set(deployed.signatures(widths_of(groups)))
    assert len(meter.jobs) == len(known)
    narrower = widths_of(groups) | {"second": 4}
    resource.prepare([widths_of(groups), narrower])
    assert len(meter.jobs) == len(known | set(deployed.signatures(narrower)))
    again = FakeMeter()
    latency(cnn_tflite, groups, again, tmp_path / "table").predict(widths_of(groups))
    assert again.jobs == []


def test_measurement_is_relative_to_the_start(cnn_tflite, groups, tmp_path):
    resource = latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table")
    measured = resource.measure({"first": 4, "second": 4})
    assert measured.value < measured.start
    assert measured.spread == pytest.approx(0.01 * measured.start)


def test_a_batch_in_which_the_reference_drifts_is_repeated(cnn_tflite, groups, tmp_path):
    steady, drifting = FakeMeter(), FakeMeter(lambda call: 1.2 if call == 2 else 1.0)
    latency(cnn_tflite, groups, steady, tmp_path / "a").prepare([widths_of(groups)])
    latency(cnn_tflite, groups, drifting, tmp_path / "b").prepare([widths_of(groups)])
    assert len(drifting.jobs) == 2 * len(steady.jobs)


def test_a_machine_that_never_settles_is_said(cnn_tflite, groups, tmp_path, caplog):
    meter = FakeMeter(lambda call: 1.0 + call % 2)
    latency(cnn_tflite, groups, meter, tmp_path / "table").prepare([widths_of(groups)])
    assert "drifted" in caplog.text


def test_a_machine_slower_than_when_the_table_was_filled_is_noticed(cnn_tflite, groups, tmp_path, caplog):
    latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table").prepare([widths_of(groups)])
    slower = FakeMeter(lambda call: 1.5)
    latency(cnn_tflite, groups, slower, tmp_path / "table").prepare([{"first": 4, "second": 4}])
    assert "drifted by 50 %" in caplog.text


class Crashing(FakeMeter):
    """Crashes on every layer with four filters."""

    def time(self, job: Job) -> Reading:
        if any(layer.output_shapes[0][-1] == 4 for layer in sized(Graph(job.tflite), {})):
            raise MeasurementError("the runtime crashed on this model")
        return super().time(job)


def test_a_layer_that_cannot_be_measured_costs_its_candidates_only(cnn_tflite, groups, tmp_path, caplog, monkeypatch):
    meter = FakeMeter()
    latency(cnn_tflite, groups, meter, tmp_path / "table").prepare([widths_of(groups)])
    resource = latency(cnn_tflite, groups, Crashing(), tmp_path / "table")
    resource.prepare([{"first": 4, "second": 12}, {"first": 6, "second": 12}])
    assert resource.predict({"first": 4, "second": 12}) == math.inf
    assert resource.predict({"first": 6, "second": 12}) < resource.predict(widths_of(groups))
    assert "CONV_2D" in caplog.text
    assert "the runtime crashed on this model" in caplog.text
