"""Measuring on this machine: a long-lived child process with LiteRT's interpreter in it."""

import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self, TypeVar

from absl import logging

from tflite_bench import timing
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.locking import measuring_lock
from tflite_bench.target import Target

_EXIT_TIMEOUT_S = 10.0
_TIMEOUT_S = 300.0
_LOADS = 3

_Answer = TypeVar("_Answer", timing.Reading, timing.Comparison)


class HostMeter:
    """Times models on this machine's CPU; one for a whole search, closed at its end.

    The child is started when first needed and again after a crash or a hang.

    Attributes:
        procedure: how layers are measured with it.
    """

    procedure = timing.Procedure(
        loads=_LOADS,
        reference_loads=5,
        statistic=f"the median of the medians of {_LOADS} loads",
        max_drift=0.03,
        delegated=False,
    )

    def __init__(
        self, target: Target, timeout_s: float = _TIMEOUT_S, worker_module: str = "tflite_bench.host_worker"
    ) -> None:
        """Checks that the target can be had here.

        Args:
            target: a `host/cpu:N` target.
            timeout_s: how long one request may take before the child is taken for hung.
            worker_module: the module that the child runs.

        Raises:
            UserError: more threads than this machine has cores.
        """
        cores = len(os.sched_getaffinity(0))
        if target.threads > cores:
            raise UserError(f"{target} asks for {target.threads} threads; this machine has {cores} cores")
        self._target = target
        self._timeout_s = timeout_s
        self._worker_module = worker_module
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

    def fingerprint(self) -> dict[str, str | int]:
        """What the readings depend on, without names of machines or people."""
        return {
            "cpu": cpu_model(),
            "cores": os.cpu_count() or 0,
            "runtime": f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}",
            "delegate": "xnnpack",
            "threads": self._target.threads,
            "pinning": f"last {self._target.threads} allowed cores",
        }

    def close(self) -> None:
        """Ends the child."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None

    def _ask(self, request: timing.Job | timing.Pair, answer_type: type[_Answer]) -> _Answer:
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
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", self._worker_module, str(theirs.fileno()), str(self._target.threads)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stderr=None if logging.level_debug() else subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join([_package_root(), *sys.path])},
                )
            self._connection = Connection(ours.detach())
        return self._connection


def _package_root() -> str:
    return str(Path(__file__).resolve().parent.parent)


def cpu_model() -> str:
    """This machine's processor, as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
