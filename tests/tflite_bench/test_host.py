import pytest

from tests.tflite_bench.taking_turns import waits_for
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph
from tflite_bench.host import HostMeter
from tflite_bench.layer_models import one_layer_model, resized_model
from tflite_bench.locking import measuring_lock
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.sizing import sized
from tflite_bench.target import Target, parse_target
from tflite_bench.timing import Job, Pair

TARGET = parse_target("host/cpu:1")


@pytest.fixture(scope="module")
def meter():
    with HostMeter(TARGET) as meter:
        yield meter


def test_a_reading_is_of_the_model(meter):
    empty, reference = meter.time(Job(almost_empty_model())), meter.time(Job(reference_network()))
    assert 0 <= empty.latency_ms < reference.latency_ms
    assert reference.p5_ms <= reference.latency_ms <= reference.p95_ms
    assert reference.runs >= Job.loads * Job.min_runs


def test_it_waits_for_whoever_measures_on_this_machine(meter):
    assert waits_for(measuring_lock(), lambda: meter.time(Job(almost_empty_model())))
    assert waits_for(
        measuring_lock(), lambda: meter.compare(Pair(almost_empty_model(), reference_network(), total_ms=1))
    )


@pytest.mark.slow
def test_every_instance_of_a_layer_is_run(meter, mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    convolution = next(layer for layer in sized(graph, {}) if layer.macs > 100_000)
    alone, eight = (one_layer_model(graph, convolution, instances) for instances in (1, 8))
    assert 4 < meter.compare(Pair(alone, eight, total_ms=200)).ratio < 16


def test_narrower_is_faster_and_the_same_is_the_same(meter, mobilenet_tflite):
    graph = Graph(mobilenet_tflite)
    quarter = resized_model(graph, sized(graph, {f"conv_pw_{block}": 8 for block in range(1, 14)}))
    assert meter.compare(Pair(mobilenet_tflite, quarter)).ratio < 0.7
    same = meter.compare(Pair(mobilenet_tflite, mobilenet_tflite))
    assert 0.8 < same.ratio < 1.25
    assert same.loads > 1


def test_a_model_that_the_runtime_refuses_costs_one_measurement(meter):
    with pytest.raises(MeasurementError, match="refuses"):
        meter.time(Job(b"\x1c\x00\x00\x00TFL3 and then nothing of use"))
    assert meter.time(Job(reference_network())).latency_ms > 0


def test_a_crash_costs_one_measurement():
    with HostMeter(TARGET, worker_module="tests.tflite_bench.crashing_worker") as meter:
        first = meter.time(Job(b"fine")).runs
        with pytest.raises(MeasurementError, match="crashed"):
            meter.time(Job(b"crash"))
        assert meter.time(Job(b"fine")).runs != first  # the child's process id: a new child


def test_a_hang_costs_one_measurement():
    with HostMeter(TARGET, timeout_s=3.0, worker_module="tests.tflite_bench.crashing_worker") as meter:
        with pytest.raises(MeasurementError, match="hangs"):
            meter.time(Job(b"hang"))
        assert meter.time(Job(b"fine")).latency_ms == 1.0


def test_more_threads_than_cores_are_refused():
    with pytest.raises(UserError, match="cores"):
        HostMeter(Target("host", "cpu", 100_000))


@pytest.mark.parametrize("text", ["host/gpu", "benchmark_model/cpu:1"])
def test_another_target_is_not_answered_with_the_processors_time(text):
    with pytest.raises(UserError, match="host/cpu:N only"):
        HostMeter(parse_target(text))


def test_fingerprint_names_no_machine(meter):
    import socket

    fingerprint = meter.fingerprint()
    assert {"cpu", "cores", "runtime", "delegate", "threads", "pinning"} == fingerprint.keys()
    assert socket.gethostname() not in str(fingerprint)
