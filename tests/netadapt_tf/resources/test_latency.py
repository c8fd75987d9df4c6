import math

import pytest

from netadapt_tf.networks.channel_groups import widths_of
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from tests.fake_meter import CALL_MS, FakeMeter
from tests.tiny_networks import tiny_cnn
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph
from tflite_bench.sizing import sized
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Reading

TARGET = parse_target("host/cpu:1")


@pytest.fixture
def groups():
    return find_channels(tiny_cnn()).groups


def latency(cnn_tflite, groups, meter, path) -> Latency:
    return Latency(DeployedNetwork(cnn_tflite, groups), widths_of(groups), TARGET, meter, path)


def test_prediction_is_the_sum_over_the_layers_and_one_call(cnn_tflite, groups, tmp_path):
    deployed = DeployedNetwork(cnn_tflite, groups)
    resource = latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table")
    for widths in (widths_of(groups), {"first": 4, "second": 8}):
        expected = CALL_MS + deployed.macs(widths) / 1e6
        assert resource.predict(widths) == pytest.approx(expected)


def test_where_a_delegate_may_join_layers_they_are_measured_in_one(cnn_tflite, groups, tmp_path):
    meter = FakeMeter(delegated=True)
    resource = latency(cnn_tflite, groups, meter, tmp_path / "table")
    plain = latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table")
    start = widths_of(groups)
    assert resource.predict(start) == pytest.approx(plain.predict(start))
    joined, alone = ([layer.kinds for layer, _ in one.by_layer(start)] for one in (resource, plain))
    assert "CONV_2D + LOGISTIC" in joined
    assert "CONV_2D" in alone
    assert "LOGISTIC" in alone
    assert set(resource.table.signatures()) != set(plain.table.signatures())
    assert len(meter.jobs) == 3 * len(set(joined))


def test_only_what_is_missing_is_measured_and_it_is_kept(cnn_tflite, groups, tmp_path):
    meter = FakeMeter()
    resource = latency(cnn_tflite, groups, meter, tmp_path / "table")
    resource.prepare([widths_of(groups)])
    deployed = DeployedNetwork(cnn_tflite, groups)
    known = set(deployed.signatures(widths_of(groups)))
    assert len({job.tflite for job in meter.jobs}) == len(known)
    narrower = widths_of(groups) | {"second": 4}
    resource.prepare([widths_of(groups), narrower])
    assert len({job.tflite for job in meter.jobs}) == len(known | set(deployed.signatures(narrower)))
    again = FakeMeter()
    latency(cnn_tflite, groups, again, tmp_path / "table").predict(narrower)
    assert again.jobs == []


def test_measurement_is_relative_to_the_start(cnn_tflite, groups, tmp_path):
    resource = latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table")
    measured = resource.measure({"first": 4, "second": 4})
    assert measured.value < measured.start
    assert measured.spread == pytest.approx(0.01 * measured.start + 0.005 * measured.value)


class Crashing(FakeMeter):
    """Crashes on every layer with four filters."""

    def time(self, job: Job) -> Reading:
        if any(layer.output_shapes[0][-1] == 4 for layer in sized(Graph(job.tflite), {})):
            raise MeasurementError("the runtime crashed on this model")
        return super().time(job)


def test_a_layer_that_cannot_be_measured_costs_its_candidates_only(cnn_tflite, groups, tmp_path):
    latency(cnn_tflite, groups, FakeMeter(), tmp_path / "table").prepare([widths_of(groups)])
    resource = latency(cnn_tflite, groups, Crashing(), tmp_path / "table")
    resource.prepare([{"first": 4, "second": 12}, {"first": 6, "second": 12}])
    assert resource.predict({"first": 4, "second": 12}) == math.inf
    assert resource.predict({"first": 6, "second": 12}) < resource.predict(widths_of(groups))
