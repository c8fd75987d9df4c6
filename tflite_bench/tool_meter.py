"""Measuring with the tool `benchmark_model`, wherever it can be started."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, Self

import numpy as np
from absl import logging

from tflite_bench import benchmark_output
from tflite_bench.benchmark_model import (
    TFLITE,
    Tool,
    ToolBinary,
    ToolRun,
    confirmed_delegate,
    measuring_run,
    profiling_run,
)
from tflite_bench.benchmark_output import ToolOutput
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.operator_profile import ProfiledNode, read_profile
from tflite_bench.reference import reference_network
from tflite_bench.target import Target
from tflite_bench.timing import Comparison, Job, Pair, Procedure, Reading, comparison

_ROUND_MS = 300.0  # of a comparison: two starts of the tool


class Runner(Protocol):
    """A place where the tool can be started.

    Attributes:
        name: of the place, for messages.
        tool: as it answers there.
        binary: that was found fit for the place.
    """

    name: str
    tool: Tool
    binary: ToolBinary

    def run_all(self, runs: Sequence[ToolRun]) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
        """Starts the tool again and again; yields each run's place in `runs` and what it left behind, when it has.

        Raises:
            UserError: the tool cannot be started there any more; what was yielded before stands.
        """

    def fingerprint(self) -> Mapping[str, str | int]:
        """What the readings depend on there."""

    def close(self) -> None:
        """Leaves the place as it was found."""


class ToolMeter:
    """Times models with `benchmark_model`, in one place or, sharing the work, in several alike."""

    def __init__(self, runners: Sequence[Runner], target: Target) -> None:
        """Sees that the places are alike, and that the target can be had there: the reference network is timed once.

        Args:
            runners: at least one; closed with the meter.
            target: where they run it.

        Raises:
            UserError: the places differ, or not even the reference network can be measured there.
        """
        self._runners = list(runners)
        self._target = target
        self._fingerprint = _common_fingerprint(self._runners)
        self._tool = self._runners[0].tool
        self._statistic = self._probed_statistic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for runner in self._runners:
            runner.close()

    @property
    def procedure(self) -> Procedure:
        """How layers are measured with it; a start of the tool is a load."""
        return Procedure(
            loads=1,
            reference_loads=1,
            statistic=f"the {self._statistic} of one start of the tool",
            max_drift=0.05,
            delegated=self._target.delegate != "cpu",
        )

    @property
    def can_profile(self) -> bool:
        """Whether operator profiles can be had: from TensorFlow Lite's tool, on a CPU."""
        return self._tool.name == TFLITE and self._target.delegate == "cpu"

    def fingerprint(self) -> Mapping[str, str | int]:
        """What the readings depend on: the device, the tool, and how it is started."""
        return {
            **self._fingerprint,
            "tool": self._tool.name,
            "tool_sha256": self._runners[0].binary.sha256[:16],
            "delegate": self._target.delegate,
            "threads": self._target.threads,
        }

    def time_all(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Reading | MeasurementError]]:
        """Times models, each in `job.loads` starts of the tool; see `timing.Meter`."""
        owners = [position for position, job in enumerate(jobs) for _ in range(job.loads)]
        runs = [measuring_run(self._tool, self._target, jobs[position]) for position in owners]
        answers: dict[int, list[Reading | MeasurementError]] = {position: [] for position in range(len(jobs))}
        for number, output in self._shared_out(runs):
            position = owners[number]
            answers[position].append(self._reading(output, self._statistic))
            if len(answers[position]) == jobs[position].loads:
                yield position, _summary(answers.pop(position))

    def compare(self, pair: Pair) -> Comparison:
        """Times two models in turn, a start of the tool each.

        Raises:
            MeasurementError: one of them could not be measured.
        """
        rounds = int(np.clip(np.ceil(pair.total_ms / _ROUND_MS), pair.min_loads, pair.max_loads))
        runs = [measuring_run(self._tool, self._target, Job(tflite)) for tflite in (pair.first, pair.second)] * rounds
        times_ms = np.full(2 * rounds, np.nan)
        for number, output in self._one_by_one(runs):
            reading = self._reading(output, self._statistic)
            if isinstance(reading, MeasurementError):
                raise reading
            times_ms[number] = reading.latency_ms
        if not np.all(times_ms > 0):
            raise MeasurementError("the tool reports a latency of 0 ms")
        return comparison(times_ms[0::2, np.newaxis], times_ms[1::2, np.newaxis])

    def profile_all(self, tflites: Sequence[bytes]) -> Iterator[tuple[int, list[ProfiledNode] | MeasurementError]]:
        """Profiles whole models operator by operator; yields each one's place in `tflites` and its operators.

        Raises:
            UserError: the tool cannot profile, or not any more.
        """
        runs = [profiling_run(self._tool, self._target, Job(tflite)) for tflite in tflites]
        for number, output in self._shared_out(runs):
            try:
                checked = self._checked(output)
                yield number, read_profile(checked.profile, checked.log)
            except MeasurementError as error:
                yield number, error

    def _checked(self, output: ToolOutput | MeasurementError) -> ToolOutput:
        if isinstance(output, MeasurementError):
            raise output
        benchmark_output.check_success(output, confirmed_delegate(self._tool, self._target))
        return output

    def _reading(self, output: ToolOutput | MeasurementError, statistic: str) -> Reading | MeasurementError:
        try:
            return benchmark_output.read_reading(self._checked(output), statistic)[0]
        except MeasurementError as error:
            return error

    def _probed_statistic(self) -> str:
        run = measuring_run(self._tool, self._target, Job(reference_network()))
        statistics = set()
        for runner in self._runners:
            [(_, output)] = runner.run_all([run])
            try:
                statistics.add(benchmark_output.read_reading(self._checked(output))[1])
            except MeasurementError as error:
                raise UserError(
                    f"target {self._target}: not even the reference network can be measured on {runner.name}: {error}"
                ) from error
        return min(statistics)

    def _shared_out(self, runs: Sequence[ToolRun]) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
        """All places work at once, each on a part; what a place that is lost leaves undone, the others do."""
        waiting = list(range(len(runs)))
        while waiting:
            lost: dict[str, UserError] = {}
            for number, output in _at_once(self._runners, runs, list(waiting), lost):
                waiting.remove(number)
                yield number, output
            self._go_on_without(lost)

    def _one_by_one(self, runs: Sequence[ToolRun]) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
        """All in one place, and all over again in the next where that is lost."""
        while True:
            lost: dict[str, UserError] = {}
            yield from _at_once(self._runners[:1], runs, range(len(runs)), lost)
            if not lost:
                return
            self._go_on_without(lost)

    def _go_on_without(self, lost: Mapping[str, UserError]) -> None:
        if len(lost) == len(self._runners):
            raise next(iter(lost.values()))
        for name, error in lost.items():
            logging.warning("Going on without %s: %s.", name, error)
        self._runners = [runner for runner in self._runners if runner.name not in lost]


def _at_once(
    places: Sequence[Runner], runs: Sequence[ToolRun], numbers: Sequence[int], lost: dict[str, UserError]
) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
    """Yields a run's number and what it left; adds to `lost` the places where the tool can be started no more."""
    if len(places) == 1:
        yield from _in_one_place(places[0], runs, numbers, lost)
        return
    answers: queue.Queue[tuple[int, ToolOutput | MeasurementError] | None] = queue.Queue()
    broken: list[BaseException] = []

    def work(place: Runner, part: Sequence[int]) -> None:
        try:
            for answer in _in_one_place(place, runs, part, lost):
                answers.put(answer)
        except BaseException as error:
            broken.append(error)
        finally:
            answers.put(None)

    parts = [part.tolist() for part in np.array_split(numbers, len(places))]
    threads = [
        threading.Thread(target=work, args=(place, part), daemon=True)
        for place, part in zip(places, parts, strict=True)
    ]
    for thread in threads:
        thread.start()
    working = len(threads)
    while working:
        answer = answers.get()
        if answer is None:
            working -= 1
        else:
            yield answer
    if broken:
        raise broken[0]


def _in_one_place(
    place: Runner, runs: Sequence[ToolRun], numbers: Sequence[int], lost: dict[str, UserError]
) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
    try:
        for position, output in place.run_all([runs[number] for number in numbers]):
            yield numbers[position], output
    except UserError as error:
        lost[place.name] = error


def _summary(answers: Sequence[Reading | MeasurementError]) -> Reading | MeasurementError:
    """The middle one of several readings, or the first failure."""
    failures = [answer for answer in answers if isinstance(answer, MeasurementError)]
    if failures:
        return failures[0]
    readings = [answer for answer in answers if isinstance(answer, Reading)]
    return sorted(readings, key=lambda reading: reading.latency_ms)[len(readings) // 2]


def _common_fingerprint(runners: Sequence[Runner]) -> Mapping[str, str | int]:
    first, *others = runners
    fingerprint = {**first.fingerprint(), "tool_sha256": first.binary.sha256}
    for other in others:
        differing = [
            f"{key} ({fingerprint.get(key)} and {value})"
            for key, value in {**other.fingerprint(), "tool_sha256": other.binary.sha256}.items()
            if fingerprint.get(key) != value
        ]
        if differing:
            raise UserError(
                f"{first.name} and {other.name} cannot share a latency table; they differ in {', '.join(differing)}"
            )
    return first.fingerprint()
