"""What both tools named `benchmark_model` share: their output, statistics and result file."""

import math
import os
import signal
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from tests.emulated_android.faults import ToolFault


@dataclass(frozen=True)
class ToolSetup:
    """The device and the build that a run finds itself in.

    Attributes:
        root: where the device's `/` is on this machine.
        fault: how this run goes wrong.
        time_factor: what measured times are multiplied by.
        gpu: as in `EmulatedDevice`, and the next two.
    """

    root: str
    fault: ToolFault | None
    time_factor: float
    gpu: bool | Literal["unsupported"]
    gpu_partial: bool
    gpu_fixed_ms: float

    def maybe_die(self) -> None:
        """Where a bad model takes the tool down: after it is loaded, before it runs."""
        if self.fault == ToolFault.CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        while self.fault == ToolFault.HANG:
            time.sleep(3600)

    def maybe_print_garbage(self) -> None:
        """Instead of everything else, if that is the fault."""
        if self.fault == ToolFault.GARBAGE:
            write_all(1, os.urandom(4000))
            os._exit(0)

    def print_last_statistics(self, descriptor: int, line: str) -> None:
        """Prints the line that matters, or the first half of it."""
        if self.fault == ToolFault.TRUNCATED:
            write_all(descriptor, line[: len(line) // 2].encode())
            os._exit(0)
        write_all(descriptor, line.encode())

    def save_result(self, path: str, result: bytes) -> None:
        """Writes the result file, if nothing goes wrong with it."""
        if self.fault == ToolFault.NO_PROTOBUF:
            return
        with open(path, "wb") as file:
            file.write(os.urandom(len(result)) if self.fault == ToolFault.GARBAGE_PROTOBUF else result)


class BenchmarkFailedError(Exception):
    """The tool gives up; its message is what it prints on stderr."""


def write_all(descriptor: int, data: bytes) -> None:
    """Writes to a file descriptor; ends the tool quietly when nobody reads."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:
        _end_quietly()


def _end_quietly() -> NoReturn:
    os._exit(128 + signal.SIGPIPE)


def number(value: float) -> str:
    """A number as C++ streams print it."""
    return f"{value:g}"


@dataclass(frozen=True)
class Statistics:
    """Integer microseconds of a series of runs."""

    times: Sequence[int]

    @property
    def average(self) -> float:
        return sum(self.times) / len(self.times) if self.times else 0.0

    @property
    def deviation(self) -> int:
        if not self.times:
            return 0
        average = self.average
        return int(math.sqrt(sum((t - average) ** 2 for t in self.times) / len(self.times)))

    def percentile(self, percent: int) -> int:
        """The value that `percent` of the others are not above."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0

    def line(self) -> str:
        """`count=… first=… …` of the tool's log."""
        count = len(self.times)
        text = f"count={count}"
        if count and min(self.times) == max(self.times):
            text += f" curr={self.times[-1]}" + ("(all same)" if count > 1 else "")
        elif count:
            text += f" first={self.times[0]} curr={self.times[-1]} min={min(self.times)} max={max(self.times)}"
            text += f" avg={number(self.average)} std={self.deviation}"
        return text + "".join(f" {name}={self.percentile(p)}" for name, p in (("p5", 5), ("median", 50), ("p95", 95)))


def repeat(run: Callable[[], int], at_least: int, min_secs: float, max_secs: float) -> list[int]:
    """Runs until there are enough runs and enough seconds of them, or too many seconds.

    Args:
        run: runs once and says how many microseconds it took.
        at_least: number of runs.
        min_secs: seconds in all.
        max_secs: no run begins after so many.
    """
    begin = time.monotonic()
    times: list[int] = []
    while len(times) < at_least or time.monotonic() - begin < min_secs:
        if time.monotonic() - begin > max_secs:
            break
        times.append(run())
    return times


def memory_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


@dataclass(frozen=True)
class Result:
    """What a run found out."""

    init_us: int
    warm_up: Statistics
    measured: Statistics
    init_mb: float
    overall_mb: float
    model_bytes: int
    input_bytes: int

    def encoded(self) -> bytes:
        """The `BenchmarkResult` protobuf."""
        measured = self.measured
        first = self.warm_up.times[0] if self.warm_up.times else 0
        times = measured.times or [0]
        milliseconds = [
            *(measured.average, min(times), max(times), measured.deviation),
            *(measured.percentile(50), measured.percentile(5), measured.percentile(95)),
            *(self.init_us, first, self.warm_up.average),
        ]
        latency = b"".join(_float(field, us / 1000) for field, us in enumerate(milliseconds, start=1))
        memory = _integer(1, int(self.init_mb * 1024)) + _integer(2, int(self.overall_mb * 1024))
        throughput = self.input_bytes / 2**20 / (measured.average / 1e6) if measured.average else 0.0
        misc = _float(1, self.model_bytes / 1e6) + _integer(2, len(measured.times))
        misc += _integer(3, len(self.warm_up.times)) + _float(4, throughput)
        return _message(2, latency) + _message(3, memory) + _message(4, misc)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    value &= 0xFFFFFFFFFFFFFFFF
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
