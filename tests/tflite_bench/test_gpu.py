"""The real accelerator on a software Vulkan driver: that what is measured is what it says, not how fast it is."""

from dataclasses import replace

import pytest

from tests.tflite_bench.strange_gpu_worker import CRASH
from tests.tflite_bench.unary_models import unary_model
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.gpu import GpuMeter
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Context, Entry
from tflite_bench.layer_models import one_layer_model
from tflite_bench.meters import Meters
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.sizing import sized
from tflite_bench.table_listing import listing
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Pair, Reading

pytestmark = pytest.mark.usefixtures("software_gpu")

TARGET, PARTIAL = parse_target("host/gpu"), parse_target("host/gpu,allow_partial=true")
PARTLY_TAKEN, NOT_TAKEN = unary_model(["RELU", "ZEROS_LIKE"]), unary_model(["LOG_SOFTMAX"])
OTHERWISE_PARTLY_TAKEN = unary_model(["RELU", "LOG_SOFTMAX"])
STRANGE = "tests.tflite_bench.strange_gpu_worker"


@pytest.fixture(scope="module")
def meter(software_gpu):
    with Meters() as meters:
        yield meters.of(TARGET)


@pytest.fixture(scope="module")
def partial_meter(software_gpu):
    with GpuMeter(PARTIAL) as meter:
        yield meter


def convolutions(size: int) -> bytes:
    """Four convolutions, 64 -> 64 channels, on size x size positions: as many kernels, whatever the work."""
    graph = Graph(reference_network())
    layer = sized(graph, {})[0]
    shape = (1, size, size, 64)
    larger = replace(layer, input_shapes=(shape, *layer.input_shapes[1:]), output_shapes=(shape,))
    return one_layer_model(graph, larger, instances=4)


SMALL, LARGE = convolutions(10), convolutions(20)
"""The one four times the work of the other; to hand them over takes equally long."""


def test_four_times_the_work_takes_at_least_twice_the_time(meter):
    assert meter.compare(Pair(SMALL, LARGE, total_ms=300)).ratio > 2


@pytest.mark.slow
def test_four_times_the_work_of_a_layer_takes_at_least_half_as_long_again(meter):
    jobs = [Job(model, loads=1, is_layer=True) for _ in range(8) for model in (SMALL, LARGE)]
    readings_ms = [answer.latency_ms for _, answer in meter.time_all(jobs) if isinstance(answer, Reading)]
    assert min(readings_ms[1::2]) > 1.5 * min(readings_ms[0::2])  # what else the machine does only adds to some


def test_the_same_is_the_same_and_a_call_costs_something(meter):
    assert 0.5 < meter.compare(Pair(reference_network(), reference_network(), total_ms=300)).ratio < 2
    jobs = [Job(model, loads=1) for _ in range(3) for model in (almost_empty_model(True), reference_network())]
    readings_ms = [answer.latency_ms for _, answer in meter.time_all(jobs) if isinstance(answer, Reading)]
    assert 0 < 2 * min(readings_ms[0::2]) < min(readings_ms[1::2])  # what else the machine does only adds to some


def test_adapter_driver_and_that_it_is_software_are_in_the_fingerprint_and_the_table(meter):
    fingerprint = meter.fingerprint()
    assert "SwiftShader" in fingerprint["adapter"]
    assert "SwiftShader" in fingerprint["driver"]
    assert fingerprint["driver_kind"] == "software"
    assert fingerprint["delegation"] == "full"
    shown = listing(Context("host/gpu", fingerprint, "", ""), [Entry("RELU", Reading(1.0, 1.0, 1.0, 11), 1.0)])
    assert shown.startswith("host/gpu (software driver): 1 entries")


def test_layers_that_a_gpu_may_fuse_are_measured_together(meter):
    assert meter.procedure.delegated


def test_whoever_measures_on_software_is_told(software_gpu, caplog):
    with GpuMeter(TARGET):
        pass
    assert "is a software driver; these milliseconds are no GPU's" in caplog.text


@pytest.mark.parametrize("model", [PARTLY_TAKEN, NOT_TAKEN])
def test_a_model_that_the_gpu_takes_in_part_is_refused_by_name(meter, model):
    named = "ZEROS_LIKE" if model == PARTLY_TAKEN else "LOG_SOFTMAX"
    with pytest.raises(MeasurementError, match=rf"SwiftShader.* does not take all of this model \({named}"):
        meter.time(Job(model))
    with pytest.raises(MeasurementError, match="allow_partial=true"):
        meter.compare(Pair(reference_network(), model))
    assert meter.time(Job(reference_network())).latency_ms > 0


def test_a_damaged_model_is_refused(meter):
    with pytest.raises(MeasurementError, match=r"SwiftShader.* does not run this model"):
        meter.time(Job(reference_network()[:500]))
    assert meter.time(Job(reference_network())).latency_ms > 0


def test_partial_delegation_is_accepted_knowingly(partial_meter, caplog):
    assert partial_meter.time(Job(PARTLY_TAKEN)).latency_ms > 0
    assert "runs on the CPU: ZEROS_LIKE" in caplog.text
    caplog.clear()
    partial_meter.time(Job(PARTLY_TAKEN))
    assert caplog.text == ""
    partial_meter.compare(Pair(reference_network(), OTHERWISE_PARTLY_TAKEN, total_ms=1.0))
    assert "runs on the CPU: LOG_SOFTMAX" in caplog.text


def test_partial_delegation_is_in_the_fingerprint_and_the_table(partial_meter):
    fingerprint = partial_meter.fingerprint()
    shown = listing(Context(PARTIAL.kind, fingerprint, "", ""), [Entry("RELU", Reading(1.0, 1.0, 1.0, 11), 1.0)])
    assert shown.startswith("host/gpu,allow_partial=true (software driver): 1 entries")
    assert "  delegation: partial, the rest on the CPU\n" in shown


def test_whoever_allows_partial_delegation_is_told_what_it_means(software_gpu, caplog):
    with GpuMeter(PARTIAL):
        pass
    assert "host/gpu,allow_partial=true: what the GPU does not take ran on the CPU" in caplog.text


def test_a_network_of_which_the_gpu_takes_nothing_is_refused_even_so(partial_meter):
    with pytest.raises(MeasurementError, match="takes none of this model"):
        partial_meter.compare(Pair(reference_network(), NOT_TAKEN))
    assert partial_meter.time(Job(NOT_TAKEN, is_layer=True)).latency_ms > 0


@pytest.mark.parametrize("target", [TARGET, PARTIAL])
def test_without_an_adapter_there_is_no_number(software_gpu, monkeypatch, target):
    monkeypatch.setenv("VK_DRIVER_FILES", "/no/driver.json")
    monkeypatch.setenv("VK_ICD_FILENAMES", "/no/driver.json")
    with pytest.raises(UserError, match=r"target host/gpu.* there is no GPU adapter .*VK_DRIVER_FILES"):
        GpuMeter(target)


def test_native_code_writes_nothing_among_the_results(software_gpu, capfd):
    with GpuMeter(TARGET):
        assert capfd.readouterr().out == ""


@pytest.mark.parametrize("target", [TARGET, PARTIAL])
def test_without_the_accelerator_there_is_no_number(software_gpu, monkeypatch, target):
    monkeypatch.setenv("STRANGE_GPU", "no accelerator")
    with pytest.raises(UserError, match="GPU accelerator is missing from this installation"):
        GpuMeter(target, worker_module=STRANGE)


def test_a_crash_of_the_driver_costs_one_measurement(software_gpu, monkeypatch):
    monkeypatch.setenv("STRANGE_GPU", "crashes")
    with GpuMeter(TARGET, worker_module=STRANGE) as meter:
        answers = dict(meter.time_all([Job(CRASH), Job(reference_network())]))
    assert "crashed" in str(answers[0])
    assert isinstance(answers[1], Reading)


@pytest.mark.slow
def test_a_gpu_that_is_another_after_a_crash_ends_the_measuring(software_gpu, monkeypatch):
    monkeypatch.setenv("STRANGE_GPU", "changes")
    with GpuMeter(TARGET, worker_module=STRANGE) as meter:
        with pytest.raises(MeasurementError, match="crashed"):
            meter.time(Job(CRASH))
        for _ in range(2):
            with pytest.raises(UserError, match=r"the GPU was SwiftShader.* now"):
                meter.time(Job(reference_network()))


@pytest.mark.slow
def test_a_hang_costs_one_measurement(software_gpu, monkeypatch):
    monkeypatch.setenv("STRANGE_GPU", "hangs")
    with (
        GpuMeter(TARGET, timeout_s=5.0, worker_module=STRANGE) as meter,
        pytest.raises(MeasurementError, match="hangs"),
    ):
        meter.time(Job(reference_network()))


@pytest.mark.parametrize(
    ("options", "request_text"),
    [
        ("", "GpuRequest(allow_partial=False, enforce_float32=False)"),
        (",allow_partial=false", "GpuRequest(allow_partial=False, enforce_float32=False)"),
        (",allow_partial=true", "GpuRequest(allow_partial=True, enforce_float32=False)"),
        (",precision=float32", "GpuRequest(allow_partial=False, enforce_float32=True)"),
    ],
)
def test_options_reach_the_process_that_measures(software_gpu, monkeypatch, options, request_text):
    monkeypatch.setenv("STRANGE_GPU", "repeats")
    with GpuMeter(parse_target(f"host/gpu{options}"), worker_module=STRANGE) as meter:
        assert meter.fingerprint()["driver"] == request_text


def test_float32_can_be_asked_for(software_gpu):
    with GpuMeter(parse_target("host/gpu,precision=float32")) as meter:
        assert meter.fingerprint()["precision"] == "float32"
        assert meter.time(Job(reference_network())).latency_ms > 0


def test_without_options_a_gpu_may_choose_float16(meter):
    assert meter.fingerprint()["precision"] == "float16 where the GPU has it"
