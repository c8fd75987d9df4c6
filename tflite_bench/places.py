"""Places where the tool can be started, and sharing work out among them."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from absl import logging

from tflite_bench.benchmark_model import Tool, ToolBinary, ToolRun
from tflite_bench.benchmark_output import ToolOutput
from tflite_bench.errors import MeasurementError, UserError

Answer = tuple[int, ToolOutput | MeasurementError]
"""The position of a run, and what it left behind."""


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

    def run_all(self, runs: Sequence[ToolRun]) -> Iterator[Answer]:
        """Starts the tool again and again; yields each run's position and what it left behind, when it has.

        Closing the iterator ends a run that is under way.

        Raises:
            UserError: the tool cannot be started there any more; what was yielded before stands.
        """

    def fingerprint(self) -> Mapping[str, str | int]:
        """What the readings depend on there."""

    def close(self) -> None:
        """Leaves the place as it was found."""


class Places:
    """Several places that are alike, working at once."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        """Sees that they are alike.

        Args:
            runners: at least one.

        Raises:
            UserError: they differ in what readings depend on.
        """
        self._all = tuple(runners)
        self._working = list(runners)
        self.fingerprint = _common_fingerprint(self._all)

    def __len__(self) -> int:
        return len(self._working)

    def __iter__(self) -> Iterator[Runner]:
        return iter(self._working)

    def close(self) -> None:
        """Leaves all of them as they were found, those that were lost too where they are back."""
        for runner in self._all:
            runner.close()

    def run_all(self, runs: Sequence[ToolRun], where: Sequence[int]) -> Iterator[Answer]:
        """Each run in its place; what a place that is lost leaves undone, the others do.

        Args:
            runs: what to run.
            where: the number of each run's place.

        Raises:
            UserError: all places are lost.
        """
        waiting = list(range(len(runs)))
        while waiting:
            parts: dict[int, list[int]] = {}
            for position in waiting:
                parts.setdefault(where[position] % len(self._working), []).append(position)
            work = [(self._working[place], positions) for place, positions in parts.items()]
            lost: dict[str, UserError] = {}
            for position, output in _at_once(work, runs, lost):
                waiting.remove(position)
                yield position, output
            self._go_on_without(lost)

    def run_in_one(self, runs: Sequence[ToolRun]) -> Iterator[Answer]:
        """All runs in one place, and all over again in the next where that is lost.

        Raises:
            UserError: all places are lost.
        """
        while True:
            lost: dict[str, UserError] = {}
            yield from _in_one_place(self._working[0], runs, range(len(runs)), lost)
            if not lost:
                return
            self._go_on_without(lost)

    def _go_on_without(self, lost: Mapping[str, UserError]) -> None:
        if len(lost) == len(self._working):
            raise next(iter(lost.values()))
        for error in lost.values():
            logging.warning("Going on without it: %s.", error)
        self._working = [runner for runner in self._working if runner.name not in lost]


def _at_once(
    work: Sequence[tuple[Runner, Sequence[int]]], runs: Sequence[ToolRun], lost: dict[str, UserError]
) -> Iterator[Answer]:
    """All places at the same time, each its part; adds to `lost` the places where the tool can be started no more."""
    if len(work) == 1:
        [(runner, positions)] = work
        yield from _in_one_place(runner, runs, positions, lost)
        return
    answers: queue.Queue[Answer | None] = queue.Queue()
    broken: list[BaseException] = []
    enough = threading.Event()

    def do(runner: Runner, positions: Sequence[int]) -> None:
        try:
            for answer in _in_one_place(runner, runs, positions, lost):
                answers.put(answer)
                if enough.is_set():
                    break
        except BaseException as error:
            broken.append(error)
        finally:
            answers.put(None)

    threads = [threading.Thread(target=do, args=part, daemon=True) for part in work]
    for thread in threads:
        thread.start()
    try:
        working = len(threads)
        while working:
            answer = answers.get()
            if answer is None:
                working -= 1
            else:
                yield answer
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    if broken:
        raise broken[0]


def _in_one_place(
    runner: Runner, runs: Sequence[ToolRun], positions: Sequence[int], lost: dict[str, UserError]
) -> Iterator[Answer]:
    answers = runner.run_all([runs[position] for position in positions])
    try:
        for number, output in answers:
            yield positions[number], output
    except UserError as error:
        lost[runner.name] = error


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
