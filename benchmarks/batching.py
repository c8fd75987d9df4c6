"""A batch of models on the emulated phone, in one session or one by one, and the time outside of the tool."""

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.rows import RowFile
from tests.emulated_android import AdbServer, EmulatedDevice, fake_elf
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model
from tflite_bench.meters import Meters
from tflite_bench.progress import progress
from tflite_bench.reference import reference_network
from tflite_bench.sizing import sized
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Meter

COLUMNS = ("round", "way", "models", "adb_calls", "wall_s", "tool_s", "outside_s")
_TARGET = "android/cpu:1,min_secs=0.01,warmup_min_secs=0.01,warmup_runs=1"
_BATCHED, _ONE_BY_ONE = "batched", "one by one"


@dataclass(frozen=True)
class Cost:
    """What measuring some models took.

    Attributes:
        adb_calls: starts of the adb client.
        wall_s: seconds in all.
        tool_s: of which the tool ran, by the phone's log.
    """

    adb_calls: int
    wall_s: float
    tool_s: float


def run_rounds(path: Path, models: int, rounds: int) -> Sequence[Mapping[str, str]]:
    """Adds the rounds that the file lacks.

    Args:
        path: the CSV file.
        models: how many one-layer models.
        rounds: how often each way takes its turn.

    Returns:
        All rows for that many models.
    """
    file = RowFile(path, COLUMNS)
    done = {(row["round"], row["way"]) for row in file.rows if row["models"] == str(models)}
    waiting = [
        (number, way) for number in range(rounds) for way in (_BATCHED, _ONE_BY_ONE) if (str(number), way) not in done
    ]
    if waiting:
        with ExitStack() as stack, progress("rounds", len(waiting)) as bar:
            phone, calls = _connected_phone(stack)
            meter = stack.enter_context(Meters([str(_tool(stack))])).of(parse_target(_TARGET))
            for number, way in waiting:
                cost = _cost(meter, phone, calls, _models(models), one_by_one=way == _ONE_BY_ONE)
                outside_s = cost.wall_s - cost.tool_s
                values = (number, way, models, cost.adb_calls, cost.wall_s, cost.tool_s, outside_s)
                file.add(dict(zip(COLUMNS, values, strict=True)))
                bar.update()
    return [row for row in file.rows if row["models"] == str(models)]


def summary(rows: Sequence[Mapping[str, str]]) -> str:
    """Both ways side by side, and the ratio of the time outside of the tool, round by round."""
    by_way = {way: {row["round"]: row for row in rows if row["way"] == way} for way in (_BATCHED, _ONE_BY_ONE)}
    lines = [f"{'':12}{'adb calls':>10}{'in all, s':>11}{'in the tool, s':>16}{'outside, s':>12}"]
    for way, of_way in by_way.items():
        medians = [np.median([float(row[c]) for row in of_way.values()]) for c in COLUMNS[3:]]
        lines.append(f"{way:12}{medians[0]:10.0f}{medians[1]:11.2f}{medians[2]:16.2f}{medians[3]:12.2f}")
    ratios = [
        float(by_way[_ONE_BY_ONE][number]["outside_s"]) / float(row["outside_s"])
        for number, row in by_way[_BATCHED].items()
        if number in by_way[_ONE_BY_ONE]
    ]
    spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
    lines.append(f"outside of the tool, one by one / batched: {np.median(ratios):.1f} ({spread})")
    return "\n".join(lines)


def _cost(meter: Meter, phone: EmulatedDevice, calls: list[str], models: Sequence[bytes], one_by_one: bool) -> Cost:
    jobs = [Job(tflite, loads=1) for tflite in models]
    runs, calls_before, begin = len(phone.runs), len(calls), time.monotonic()
    for part in [[job] for job in jobs] if one_by_one else [jobs]:
        for _, answer in meter.time_all(part):
            if isinstance(answer, MeasurementError):
                raise UserError(f"a model could not be measured: {answer}")
    wall_s = time.monotonic() - begin
    tool_s = sum((run.end or run.begin) - run.begin for run in phone.runs[runs:])
    return Cost(len(calls) - calls_before, wall_s, tool_s)


def _models(count: int) -> list[bytes]:
    """One-layer models, each with another number of filters."""
    graph = Graph(reference_network())
    (first, *_) = sized(graph, {})
    models = []
    for filters in range(1, count + 1):
        weights = (filters, *first.input_shapes[1][1:])
        shapes = (first.input_shapes[0], weights, (filters,))
        output = (*first.output_shapes[0][:-1], filters)
        models.append(one_layer_model(graph, replace(first, input_shapes=shapes, output_shapes=(output,))))
    return models


def _connected_phone(stack: ExitStack) -> tuple[EmulatedDevice, list[str]]:
    """A phone on an adb server of its own, and a list that grows with every start of the adb client."""
    server = stack.enter_context(AdbServer())
    phone = stack.enter_context(EmulatedDevice())
    server.connect(phone.serial)
    stack.enter_context(mock.patch.dict(os.environ, server.environment))
    calls: list[str] = []
    start = subprocess.Popen.__init__

    def counted(process: Any, arguments: Any, *others: Any, **options: Any) -> None:
        if isinstance(arguments, list) and str(arguments[0]).endswith("/adb"):
            calls.append(str(arguments[-1]))
        start(process, arguments, *others, **options)

    stack.enter_context(mock.patch.object(subprocess.Popen, "__init__", counted))
    return phone, calls


def _tool(stack: ExitStack) -> Path:
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "benchmark_model"
    path.write_bytes(fake_elf())
    return path
