"""Measuring with the tool `benchmark_model`, wherever it can be started."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np

from tflite_bench.benchmark_model import TFLITE, measuring_run, profiling_run, wanted_delegate
from tflite_bench.benchmark_output import MEAN, ToolOutput, check_success, read_reading
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.operator_profile import ProfiledNode, read_profile
from tflite_bench.places import Places, Runner
from tflite_bench.reference import reference_network
from tflite_bench.target import Target
from tflite_bench.timing import Comparison, Job, Pair, Procedure, Reading, comparison

_MAX_DRIFT = 0.05
_ROUND_MS = 300.0  # of a comparison: two starts of the tool


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
        self._places = Places(runners)
        self._target = target
        self._tool, self._binary = runners[0].tool, runners[0].binary
        self._delegate = wanted_delegate(self._tool, target)
        self._statistic = self._probed_statistic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._places.close()

    @property
    def procedure(self) -> Procedure:
        """How layers are measured with it; a start of the tool is a load."""
        return Procedure(
            loads=1,
            reference_loads=1,
            statistic=f"the {self._statistic} of one start of the tool",
            max_drift=_MAX_DRIFT,
            delegated=self._delegate is not None and self._delegate.takes_all,
            places=len(self._places),
        )

    @property
    def can_profile(self) -> bool:
        """Whether operator profiles can be had: from TensorFlow Lite's tool, where the CPU runs the operators."""
        return self._tool.name == TFLITE and not self.procedure.delegated

    def with_means(self) -> Self:
        """The same meter, whose readings are means: what can be added to the means of operator profiles."""
        other = copy.copy(self)
        other._statistic = MEAN
        return other

    def fingerprint(self) -> Mapping[str, str | int]:
        """What the readings depend on: the device, the tool, and how it is started."""
        return {
            **self._places.fingerprint,
            "tool": self._tool.name,
            "tool_sha256": self._binary.sha256[:16],
            "delegate": self._target.delegate,
            "threads": self._target.threads,
        }

    def time_all(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Reading | MeasurementError]]:
        """Times models, each in `job.loads` starts of the tool; see `timing.Meter`."""
        owners = [position for position, job in enumerate(jobs) for _ in range(job.loads)]
        runs = [measuring_run(self._tool, self._target, jobs[position]) for position in owners]
        answers: dict[int, list[Reading | MeasurementError]] = {position: [] for position in range(len(jobs))}
        for number, output in self._places.run_all(runs, [jobs[position].place for position in owners]):
            position = owners[number]
            answers[position].append(self._reading(output))
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
        for number, output in self._places.run_in_one(runs):
            reading = self._reading(output)
            if isinstance(reading, MeasurementError):
                raise reading
            times_ms[number] = reading.latency_ms
        if not np.all(times_ms > 0):
            raise MeasurementError("the tool reports a latency of 0 ms")
        return comparison(times_ms[0::2, np.newaxis], times_ms[1::2, np.newaxis])

    def profile_all(self, jobs: Sequence[Job]) -> Iterator[tuple[int, list[ProfiledNode] | MeasurementError]]:
        """Profiles whole models operator by operator; yields each one's place in `jobs` and its operators.

        Raises:
            UserError: the tool cannot profile, or not any more.
        """
        runs = [profiling_run(self._tool, self._target, job) for job in jobs]
        for number, output in self._places.run_all(runs, [job.place for job in jobs]):
            try:
                checked = self._checked(output)
                yield number, read_profile(checked.profile, checked.log)
            except MeasurementError as error:
                yield number, error

    def _checked(self, output: ToolOutput | MeasurementError) -> ToolOutput:
        if isinstance(output, MeasurementError):
            raise output
        check_success(output, self._delegate)
        return output

    def _reading(self, output: ToolOutput | MeasurementError) -> Reading | MeasurementError:
        try:
            return read_reading(self._checked(output), self._statistic)[0]
        except MeasurementError as error:
            return error

    def _probed_statistic(self) -> str:
        run = measuring_run(self._tool, self._target, Job(reference_network()))
        statistics: dict[str, str] = {}
        for runner in self._places:
            [(_, output)] = runner.run_all([run])
            try:
                statistics[runner.name] = read_reading(self._checked(output))[1]
            except MeasurementError as error:
                raise UserError(
                    f"target {self._target}: not even the reference network can be measured on {runner.name}: {error}"
                ) from error
        if len(set(statistics.values())) > 1:
            said = ", ".join(f"{name} a {statistic}" for name, statistic in statistics.items())
            raise UserError(f"target {self._target}: the tool reports different statistics: {said}")
        return next(iter(statistics.values()))


def _summary(answers: Sequence[Reading | MeasurementError]) -> Reading | MeasurementError:
    """The middle one of several readings, or the first failure."""
    failures = [answer for answer in answers if isinstance(answer, MeasurementError)]
    if failures:
        return failures[0]
    readings = [answer for answer in answers if isinstance(answer, Reading)]
    return sorted(readings, key=lambda reading: reading.latency_ms)[len(readings) // 2]
