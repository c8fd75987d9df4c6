"""Where latency is measured: device, delegate, threads."""

import re
from dataclasses import dataclass

from tflite_bench.errors import UserError

_HOST_CPU = re.compile(r"host/cpu:([1-9][0-9]*)")


@dataclass(frozen=True)
class Target:
    """A place to measure on; `str(target)` is its text in budgets, tables and reports."""

    device: str
    delegate: str
    threads: int

    def __str__(self) -> str:
        return f"{self.device}/{self.delegate}:{self.threads}"


def parse_target(text: str) -> Target:
    """Reads a target such as `host/cpu:1` (this machine's CPU, one thread).

    Raises:
        UserError: the text names no target that can be measured.
    """
    match = _HOST_CPU.fullmatch(text)
    if not match:
        raise UserError(f"unknown target {text!r}; it should read host/cpu:THREADS, for example host/cpu:1")
    return Target("host", "cpu", int(match[1]))
