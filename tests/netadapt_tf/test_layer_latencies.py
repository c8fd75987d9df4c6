import pytest

from netadapt_tf.layer_latencies import layer_latencies, layers_record
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.latency import Latency
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.start import Start, start_of
from tests.fake_meter import CALL_MS, FakeMeter
from tflite_bench.target import parse_target

MULTIPLE = 8  # halved for groups as small as these
AFTER = {"first": 4, "second": 8}
FIRST, DEPTHWISE, SECOND = 8 * 8 * 27, 8 * 8 * 9, 8 * 8  # MACs of a filter, a channel, a pair of channels


@pytest.fixture
def start(cnn, cnn_tflite) -> Start:
    return start_of(cnn, find_channels(cnn), cnn_tflite)


@pytest.fixture
def meter() -> FakeMeter:
    return FakeMeter()


@pytest.fixture
def latency(start, meter, tmp_path) -> Latency:
    return Latency(start.deployed, start.widths, parse_target("host/cpu:1"), meter, tmp_path / "table")


def searched(start: Start, latency: Latency) -> None:
    """As a search of one iteration, to `AFTER`, leaves the table."""
    for name, filters in start.widths.items():
        latency.prepare({**start.widths, name: count} for count in candidate_filters(filters, filters, MULTIPLE))
    latency.prepare([start.widths, AFTER])


def test_nothing_is_measured_for_the_report(start, latency, meter):
    searched(start, latency)
    asked = len(meter.jobs)
    layers_record(start, latency, AFTER, MULTIPLE)
    assert len(meter.jobs) == asked


def test_layers_are_named_and_told_before_and_after(start, latency):
    searched(start, latency)
    record = layers_record(start, latency, AFTER, MULTIPLE)
    assert record["call_ms"] == CALL_MS
    by_name = {layer["name"]: layer for layer in record["layers"] if layer["kind"] == "CONV_2D"}
    assert by_name["second"]["before"]["output_shape"] == [1, 8, 8, 12]
    assert by_name["second"]["after"]["output_shape"] == [1, 8, 8, 8]
    assert by_name["second"]["before"]["latency_ms"] == pytest.approx(SECOND * 8 * 12 / 1e6)
    assert by_name["second"]["after"]["latency_ms"] == pytest.approx(SECOND * 4 * 8 / 1e6)
    assert [layer["name"] for layer in record["layers"]] == [
        layer.name for layer in layer_latencies(start, latency, start.widths)
    ]


def test_a_staircase_is_of_the_layers_that_a_group_is_part_of(start, latency):
    searched(start, latency)
    first, second = layers_record(start, latency, AFTER, MULTIPLE)["staircases"]
    assert (first["group"], first["before"], first["after"]) == ("first", 8, 4), "it saves more"
    assert first["filters"] == [4, 8]
    assert first["latency_ms"] == pytest.approx(
        [(FIRST * filters + DEPTHWISE * filters + SECOND * filters * 12) / 1e6 for filters in (4, 8)]
    )
    assert (second["group"], second["filters"]) == ("second", [4, 8, 12])
    assert second["latency_ms"] == pytest.approx(
        [(SECOND * 8 * filters + 3 * filters) / 1e6 for filters in (4, 8, 12)], rel=1e-2
    )


def test_what_the_table_lacks_is_none(start, latency):
    latency.prepare([start.widths])
    record = layers_record(start, latency, AFTER, MULTIPLE)
    assert record["staircases"] == []
    by_name = {layer["name"]: layer for layer in record["layers"]}
    assert by_name["first"]["before"]["latency_ms"] is not None
    assert by_name["first"]["after"]["latency_ms"] is None


def test_a_network_that_did_not_shrink_has_no_staircases(start, latency):
    searched(start, latency)
    record = layers_record(start, latency, start.widths, MULTIPLE)
    assert record["staircases"] == []
    assert all(layer["before"] == layer["after"] for layer in record["layers"])
