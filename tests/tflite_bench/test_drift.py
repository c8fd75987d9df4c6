"""A machine that is slowed on purpose, measured by the real meter."""

import numpy as np
import pytest

from tests.tflite_bench.slowed_worker import SLOW_LAYERS, SLOWNESS
from tflite_bench.graph import Graph
from tflite_bench.host import HostMeter
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_signature import layer_signature
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.sizing import SizedOperator, sized
from tflite_bench.table_filling import Caches, fill
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Reading

LAYERS, PASSES = 4, 3


class CountingMeter(HostMeter):
    """Counts the readings of layers."""

    layers_timed = 0

    def time(self, job: Job) -> Reading:
        self.layers_timed += job.tflite not in (reference_network(), almost_empty_model())
        return super().time(job)


@pytest.fixture(scope="module")
def graph(mobilenet_tflite) -> Graph:
    return Graph(mobilenet_tflite)


@pytest.fixture(scope="module")
def layers(graph) -> dict[str, SizedOperator]:
    """The layers that take longest, so that the cost of a call is nothing to them."""
    largest = sorted(sized(graph, {}), key=lambda layer: -layer.macs)
    distinct = {layer_signature(graph, layer): layer for layer in largest}
    return {signature: distinct[signature] for signature in list(distinct)[:LAYERS]}


def filled(path, graph, layers, worker_module) -> tuple[list[float], int]:
    """Latencies by a table of its own, and how many readings of layers it took."""
    caches = Caches(graph.constant_bytes)
    table = LatencyTable(path, Context("host/cpu:1", {}, str(caches), "median"))
    with CountingMeter(parse_target("host/cpu:1"), worker_module=worker_module) as meter:
        assert fill(table, meter, graph, layers, caches) == set()
        return [table.latency_ms(signature) for signature in layers], meter.layers_timed


def test_a_machine_slowed_during_a_batch_is_noticed_and_the_batch_repeated(tmp_path, graph, layers):
    assert SLOW_LAYERS == PASSES * LAYERS  # the whole first try, and nothing of the second
    steady_ms, _ = filled(tmp_path / "steady", graph, layers, "tflite_bench.host_worker")
    slowed_ms, timed = filled(tmp_path / "slowed", graph, layers, "tests.tflite_bench.slowed_worker")
    assert timed >= 2 * PASSES * LAYERS
    assert np.median(np.divide(slowed_ms, steady_ms)) < SLOWNESS / 2
