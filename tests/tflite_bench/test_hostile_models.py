"""Damaged and absurd models, given to the real meter: each costs one measurement, and the meter goes on."""

import dataclasses
import resource
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph
from tflite_bench.host import HostMeter
from tflite_bench.layer_models import one_layer_model
from tflite_bench.reference import reference_network
from tflite_bench.sizing import sized
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Pair, Reading


def quick(tflite: bytes) -> Job:
    return Job(tflite, loads=1, min_runs=1, min_total_ms=0.0)


@pytest.fixture(scope="module")
def meter():
    with HostMeter(parse_target("host/cpu:1"), timeout_s=20.0) as meter:
        yield meter


def answers(meter: HostMeter, tflite: bytes) -> bool:
    """Whether the meter has a reading for the model; nothing but a MeasurementError may say no."""
    try:
        return isinstance(meter.time(quick(tflite)), Reading)
    except MeasurementError:
        return False
    finally:
        assert meter.time(quick(reference_network())).latency_ms > 0


def damaged(draw, tflite: bytes) -> bytes:
    """Some numbers overwritten, and perhaps the end cut off. The model is small: most of its bytes are structure."""
    data = bytearray(tflite)
    for _ in range(draw(st.integers(1, 8))):
        position = draw(st.integers(8, len(data) - 4))
        data[position : position + 4] = struct.pack(
            "<I", draw(st.sampled_from([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 16]))
        )
    return bytes(data[: draw(st.integers(1, len(data)))] if draw(st.booleans()) else data)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_model_costs_one_measurement(meter, cnn_tflite, data):
    answers(meter, damaged(data.draw, cnn_tflite))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(tail=st.binary(max_size=2000))
def test_what_is_no_model_at_all_costs_one_measurement(meter, tail):
    assert not answers(meter, b"\x1c\x00\x00\x00TFL3" + tail)


@pytest.mark.parametrize("side", [1 << 14, 1 << 20, (1 << 31) - 1], ids=["13 GB", "53 TB", "221 exabytes"])
def test_absurd_shapes_cost_one_measurement_and_no_memory(meter, cnn_tflite, side):
    graph = Graph(cnn_tflite)
    layer = next(layer for layer in sized(graph, {}) if layer.operator.kind == "LOGISTIC")
    shape = (1, side, side, 12)
    absurd = one_layer_model(graph, dataclasses.replace(layer, input_shapes=(shape,), output_shapes=(shape,)))
    assert not answers(meter, absurd)


def test_the_child_may_not_take_the_machines_memory(meter):
    meter.time(quick(reference_network()))
    assert meter._process is not None
    soft, _ = resource.prlimit(meter._process.pid, resource.RLIMIT_DATA)
    assert 0 < soft <= 8 << 30


def test_a_pair_with_a_damaged_model_costs_one_measurement(meter):
    with pytest.raises(MeasurementError):
        meter.compare(Pair(reference_network(), reference_network()[:-500]))
    assert meter.compare(Pair(reference_network(), reference_network(), total_ms=1.0)).ratio > 0


def test_a_pickle_in_place_of_a_model_is_never_loaded(meter, tmp_path):
    """The bytes of a model are data to everyone, also where they would be code to somebody."""
    proof = tmp_path / "proof"
    pickle_that_writes = b"cbuiltins\nopen\n(V" + str(proof).encode() + b"\nVw\ntR."
    assert not answers(meter, pickle_that_writes)
    assert not proof.exists()
