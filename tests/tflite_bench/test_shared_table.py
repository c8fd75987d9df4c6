"""Two real processes that fill one table at the same time."""

import itertools
import subprocess
import sys
import time

import pytest

from tests.tflite_bench.filling_process import CONTEXT, OWN_ENTRIES
from tflite_bench.graph import Graph
from tflite_bench.latency_table import LatencyTable
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import sized
from tflite_bench.table_filling import CALL, PASSES

NAMES = ("first", "second")
READINGS_OF_A_BATCH = (2 + 2) * PASSES
"""Of two layers, the reference network before and after."""


def filled_by_two(tmp_path, cnn_tflite, widths: dict[str, str]) -> list[list[tuple[float, float, int]]]:
    """Of each process's readings begin, end and the number of layers timed by then."""
    (tmp_path / "net.tflite").write_bytes(cnn_tflite)
    arguments = [str(tmp_path / "net.tflite"), str(tmp_path / "table.sqlite")]
    start_s = str(time.time() + 4.0)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.tflite_bench.filling_process", *arguments, name, start_s, *own],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in NAMES
        for own in [[widths[name]] if widths else []]
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    for process, (_, errors) in zip(processes, answers, strict=True):
        assert process.returncode == 0, errors
    lines = [[line.split() for line in output.splitlines()] for output, _ in answers]
    return [[(float(begin), float(end), int(count)) for begin, end, count in of_one] for of_one in lines]


def test_no_entry_is_lost_none_measured_twice_and_measuring_never_overlaps(tmp_path, cnn_tflite):
    intervals = filled_by_two(tmp_path, cnn_tflite, {})
    graph = Graph(cnn_tflite)
    layers = {layer_signature(graph, layer) for layer in sized(graph, {})}
    own = {f"{name} {number}" for name in NAMES for number in range(OWN_ENTRIES)}
    assert set(LatencyTable(tmp_path / "table.sqlite", CONTEXT).signatures()) == {CALL} | layers | own
    timed = [max((count for *_, count in of_one), default=0) for of_one in intervals]
    assert sum(timed) == PASSES * len(layers), "a layer that the other has stored was measured again"
    first, second = intervals
    for begin, end, _ in first:
        assert not any(begin < other_end and other_begin < end for other_begin, other_end, _ in second)


@pytest.mark.slow
def test_those_that_measure_other_layers_take_turns_batch_by_batch(tmp_path, cnn_tflite):
    first, second = filled_by_two(tmp_path, cnn_tflite, {"first": "2,3,4,5,6", "second": "7,9,10,11,12"})
    both_from, both_until = max(first[0][0], second[0][0]), min(first[-1][1], second[-1][1])
    readings = sorted([(begin, 0) for begin, *_ in first] + [(begin, 1) for begin, *_ in second])
    whose = [process for begin, process in readings if both_from <= begin <= both_until]
    turns = [len(list(of_one)) for _, of_one in itertools.groupby(whose)]
    assert len(turns) > 5, f"one waited until the other was through: {turns} readings at a time"
    assert max(turns) <= 2 * READINGS_OF_A_BATCH, f"{turns} readings at a time"
