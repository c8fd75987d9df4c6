"""Starting the tool `benchmark_model` on this machine."""

import os
import platform
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tflite_bench.benchmark_model import ToolBinary, ToolRun, read_help
from tflite_bench.benchmark_output import ToolOutput
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.host import cpu_model
from tflite_bench.locking import measuring_lock
from tflite_bench.target import Target

_TIMEOUT_S = 120.0
_ABIS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64-v8a", "arm64": "arm64-v8a", "armv7l": "armeabi-v7a"}


class HostRunner:
    """This machine, its last allowed cores as `host/cpu` has them.

    Attributes:
        name: for messages.
        tool: as it answers here.
        binary: the first of the given that runs here.
    """

    name = "this machine"

    def __init__(self, target: Target, binaries: Sequence[ToolBinary], timeout_s: float = _TIMEOUT_S) -> None:
        """Finds the binary for this machine and asks for its help.

        Args:
            target: a `benchmark_model/cpu:N` target.
            binaries: the user's.
            timeout_s: after which a run of the tool is taken for hung.

        Raises:
            UserError: no binary runs here, or the machine has fewer cores than threads are asked for.
        """
        self.binary = _fitting(target, binaries)
        self._timeout_s = timeout_s
        self._lock = measuring_lock()
        cores = sorted(os.sched_getaffinity(0))
        if target.threads > len(cores):
            raise UserError(f"{target} asks for {target.threads} threads; this machine has {len(cores)} cores")
        self._cores = [core for core in cores if target.cores is None or core in target.cores][-target.threads :]
        if len(self._cores) < target.threads:
            raise UserError(f"{target}: the mask holds fewer than {target.threads} of this machine's cores")
        self._folder = tempfile.TemporaryDirectory(prefix="netadapt_tf.")
        answer = self._start(["--help"], Path(self._folder.name))
        if isinstance(answer, MeasurementError):
            raise UserError(f"{self.binary.path} does not answer --help: {answer}")
        self.tool = read_help(answer.log, self.binary.path)

    def run_all(self, runs: Sequence[ToolRun]) -> Iterator[tuple[int, ToolOutput | MeasurementError]]:
        """Starts the tool for one run after the other, never beside other measuring."""
        for number, run in enumerate(runs):
            with self._lock.held():
                answer = self._run(run)
            yield number, answer

    def fingerprint(self) -> Mapping[str, str | int]:
        """What the readings depend on, without names of machines or people."""
        pinning = "cores " + ",".join(map(str, self._cores))
        return {"cpu": cpu_model(), "cores": os.cpu_count() or 0, "pinning": pinning}

    def close(self) -> None:
        """Removes what was written."""
        self._folder.cleanup()

    def _run(self, run: ToolRun) -> ToolOutput | MeasurementError:
        with tempfile.TemporaryDirectory(dir=self._folder.name) as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(run.model)
            files = {run.result_flag: "result", run.profile_flag: "profile"}
            paths = [f"--{flag}={folder / file}" for flag, file in files.items() if flag]
            answer = self._start([f"--graph={folder / 'model.tflite'}", *run.flags, *paths], folder)
            if isinstance(answer, MeasurementError):
                return answer
            return ToolOutput(answer.exit_status, answer.log, _read(folder / "result"), _read(folder / "profile"))

    def _start(self, arguments: Sequence[str], folder: Path) -> ToolOutput | MeasurementError:
        with open(folder / "log", "wb") as log:
            try:
                process = subprocess.Popen(
                    [self.binary.path.absolute(), *arguments],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=lambda: os.sched_setaffinity(0, self._cores),  # before its threads exist
                )
            except OSError as error:
                raise UserError(
                    f"{self.binary.path} cannot be started ({error.strerror}); it should be a program with leave to "
                    "run (chmod +x)"
                ) from error
            try:
                status = process.wait(self._timeout_s)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                return MeasurementError(f"no answer within {self._timeout_s:g} s: the tool hangs on this model")
        text = (folder / "log").read_bytes().decode(errors="replace")
        return ToolOutput(status if status >= 0 else 128 - status, text)


def _fitting(target: Target, binaries: Sequence[ToolBinary]) -> ToolBinary:
    abi = _ABIS.get(platform.machine().lower(), platform.machine())
    for binary in binaries:
        if binary.abi in (abi, None):
            return binary
    given = ", ".join(f"{binary.path} ({binary.abi})" for binary in binaries) or "none"
    raise UserError(
        f"target {target} needs a benchmark_model built for {abi} under Linux; --benchmark_model names {given}"
    )


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
