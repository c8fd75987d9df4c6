"""Measuring on this machine's CPU: a long-lived child process with LiteRT's interpreter in it."""

import os
import platform
from pathlib import Path

from tflite_bench import timing
from tflite_bench.child_meter import ChildMeter, runtime_version
from tflite_bench.errors import UserError
from tflite_bench.target import Target

_LOADS = 3


class HostMeter(ChildMeter):
    """Times models on this machine's CPU; see `ChildMeter`.

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
        self, target: Target, timeout_s: float | None = None, worker_module: str = "tflite_bench.host_worker"
    ) -> None:
        """Checks that the target can be had here.

        Args:
            target: a `host/cpu:N` target.
            timeout_s: how long one request may take before the child is taken for hung.
            worker_module: the module that the child runs.

        Raises:
            UserError: another target, or more threads than this machine has cores.
        """
        if (target.device, target.delegate) != ("host", "cpu"):
            raise UserError(f"target {target}: what is asked for is measured on host/cpu:N only")
        cores = len(os.sched_getaffinity(0))
        if target.threads > cores:
            raise UserError(f"{target} asks for {target.threads} threads; this machine has {cores} cores")
        super().__init__(worker_module, [str(target.threads)], timeout_s)
        self._target = target

    def fingerprint(self) -> dict[str, str | int]:
        """What the readings depend on, without names of machines or people."""
        return {
            "cpu": cpu_model(),
            "cores": os.cpu_count() or 0,
            "runtime": runtime_version(),
            "delegate": "xnnpack",
            "threads": self._target.threads,
            "pinning": f"last {self._target.threads} allowed cores",
        }


def cpu_model() -> str:
    """This machine's processor, as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
