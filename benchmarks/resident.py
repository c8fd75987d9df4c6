"""Resident memory of a search, iteration by iteration, watched from outside."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from netadapt_tf.search.journal import Journal
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

_POLL_S = 0.2


def resident_mib(command: Sequence[str], run_dir: Path, iterations: int) -> Mapping[int, float]:
    """Runs an adaptation until it has finished some iterations, and ends it.

    Args:
        command: flags of `netadapt_tf.adapt`.
        run_dir: its run directory, which must be new.
        iterations: how many.

    Returns:
        By iteration, the resident memory when its record is written, in MiB; that of its child is not in it.

    Raises:
        UserError: it ends before, or without any iteration.
    """
    found: dict[int, float] = {}
    arguments = [sys.executable, "-m", "netadapt_tf.adapt", *command, f"--run_dir={run_dir}"]
    with tempfile.TemporaryFile("w+") as errors, progress("iterations", iterations) as bar:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while len(found) < iterations:
                if process.poll() is not None:
                    errors.seek(0)
                    raise UserError(f"the search ended after {len(found)} iterations: {errors.read().strip()[-500:]}")
                for number in _finished(run_dir) - found.keys():
                    found[number] = _resident_mib(process.pid)
                    bar.update()
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()
    return dict(sorted(found.items()))


def _finished(run_dir: Path) -> set[int]:
    path = run_dir / "journal.jsonl"
    if not path.exists():
        return set()
    return {record["iteration"] for record in Journal(path).events("iteration")} - {0}


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def growth(by_iteration: Mapping[int, float], first: int, last: int) -> float:
    """By what share memory has grown from one iteration to another."""
    return by_iteration[last] / by_iteration[first] - 1
