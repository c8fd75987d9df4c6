"""What can go wrong with the tool, and what was run: shared by the device and the tests."""

import enum
import hashlib
import threading
from dataclasses import dataclass, field


class ToolFault(enum.StrEnum):
    """How a run of the tool goes wrong.

    Attributes:
        CRASH: dies by SIGSEGV after the model is loaded.
        HANG: never ends after the model is loaded.
        GARBAGE: random bytes instead of the log, exit status 0, no files.
        TRUNCATED: the log stops in the middle of its last line of statistics, exit status 0, no files.
        NO_PROTOBUF: the result file is not written, though the log is complete.
        GARBAGE_PROTOBUF: the result file holds random bytes.
    """

    CRASH = "crash"
    HANG = "hang"
    GARBAGE = "garbage"
    TRUNCATED = "truncated"
    NO_PROTOBUF = "no_protobuf"
    GARBAGE_PROTOBUF = "garbage_protobuf"


@dataclass
class Run:
    """One run of the tool.

    Attributes:
        number: 1 for the first since the device started.
        flavour: `tflite` or `litert`.
        argv: the command line, with paths of the device.
        mask: what `taskset` was given, or an empty string.
        model_sha256: of the file at `--graph`; empty where there is none.
        begin: when its process had started, in seconds of `time.monotonic`; by the processor time that it has used.
        end: when it was over; None while it runs.
        exit_status: as a shell shows it, 128 + signal for one that was killed; None while it runs.
    """

    number: int
    flavour: str
    argv: list[str]
    mask: str
    model_sha256: str
    begin: float
    end: float | None = None
    exit_status: int | None = None


@dataclass
class _Rule:
    fault: ToolFault
    model_sha256: str | None
    run: int | None


@dataclass
class Faults:
    """Faults of the tool, by model or by number of the run."""

    _rules: list[_Rule] = field(default_factory=list)
    _slow_down: tuple[int, float] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: ToolFault, model: bytes | str | None = None, run: int | None = None) -> None:
        """Lets runs go wrong: those of a model (its bytes, or their sha256), the `run`-th, or with neither, all."""
        digest = hashlib.sha256(model).hexdigest() if isinstance(model, bytes) else model
        with self._lock:
            self._rules.append(_Rule(fault, digest, run))

    def slow_down(self, factor: float, from_run: int = 1) -> None:
        """Multiplies the times that the tool reports from a run on."""
        with self._lock:
            self._slow_down = (from_run, factor)

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self._rules.clear()
            self._slow_down = None

    def of(self, run: Run) -> ToolFault | None:
        """What goes wrong with a run."""
        with self._lock:
            for rule in self._rules:
                if rule.model_sha256 in (None, run.model_sha256) and rule.run in (None, run.number):
                    return rule.fault
        return None

    def time_factor(self, run: Run) -> float:
        """By what the times of a run are multiplied."""
        with self._lock:
            return self._slow_down[1] if self._slow_down and run.number >= self._slow_down[0] else 1.0
