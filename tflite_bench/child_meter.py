"""Measuring in a long-lived child process: a crash or a hang of a runtime is one failed measurement."""

import importlib.metadata
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self, TypeVar

from absl import logging

from tflite_bench import timing
from tflite_bench.errors import MeasurementError
from tflite_bench.locking import measuring_lock

_EXIT_TIMEOUT_S = 10.0
_TIMEOUT_S = 300.0

_Answer = TypeVar("_Answer")


class ChildMeter:
    """Times models in a child; one for a whole search, closed at its end.

    The child is started when first needed and again after a crash or a hang.
    """

    def __init__(self, worker_module: str, arguments: Sequence[str], timeout_s: float | None) -> None:
        """Starts nothing yet.

        Args:
            worker_module: the module that the child runs; it serves requests as `watch.serve` does.
            arguments: of its command line, after the file descriptor that it is served on.
            timeout_s: how long one request may take before the child is taken for hung; None for five minutes.
        """
        self._worker_module = worker_module
        self._arguments = tuple(arguments)
        self._timeout_s = _TIMEOUT_S if timeout_s is None else timeout_s
        self._lock = measuring_lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def time(self, job: timing.Job) -> timing.Reading:
        """Times one model.

        Raises:
            MeasurementError: the model was refused, or crashed or hung the runtime; the meter goes on.
        """
        return self._ask(job, timing.Reading)

    def time_all(self, jobs: Sequence[timing.Job]) -> Iterator[tuple[int, timing.Reading | MeasurementError]]:
        """Times models one after the other, each when its answer is asked for."""
        for position, job in enumerate(jobs):
            try:
                yield position, self.time(job)
            except MeasurementError as error:
                yield position, error

    def compare(self, pair: timing.Pair) -> timing.Comparison:
        """Times two models in turn.

        Raises:
            MeasurementError: as for `time`.
        """
        return self._ask(pair, timing.Comparison)

    def close(self) -> None:
        """Ends the child."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    @property
    def _is_running(self) -> bool:
        return self._connection is not None

    def _ask(self, request: object, answer_type: type[_Answer]) -> _Answer:
        with self._lock.held():
            try:
                connection = self._connected()
                connection.send(request)
                if not connection.poll(self._timeout_s):
                    self.close()
                    raise MeasurementError(f"no answer within {self._timeout_s:g} s: the runtime hangs on this model")
                answer = connection.recv()
            except (EOFError, OSError) as error:
                status = self._exit_status()
                self.close()
                raise MeasurementError(f"the runtime crashed on this model (exit status {status})") from error
        if not isinstance(answer, answer_type):
            raise MeasurementError(str(answer))
        return answer

    def _exit_status(self) -> int | None:
        if self._process is None:
            return None
        try:
            return self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None

    def _connected(self) -> Connection:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            words_to = None if logging.level_debug() else subprocess.DEVNULL  # native code's, which says much on both
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._worker_module, str(theirs.fileno()), *self._arguments],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=words_to,
                    stderr=words_to,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join([_package_root(), *sys.path])},
                )
            self._connection = Connection(ours.detach())
        return self._connection


def _package_root() -> str:
    return str(Path(__file__).resolve().parent.parent)


def runtime_version() -> str:
    """What runs models in the child, and its version."""
    return f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
