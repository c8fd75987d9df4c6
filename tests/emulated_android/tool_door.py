"""Where the program that was pushed announces its runs; they are counted here and passed to the tool server.

The program on the device is a tiny script: it sends its command line and its output files through a socket and waits
for the exit status. A door belongs to a device; the server behind it, one per Python process, is shared by all.
"""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.emulated_android.faults import Faults, Run
from tests.emulated_android.files import DeviceFiles

_REPOSITORY = Path(__file__).absolute().parents[2]
_START_SECONDS = 60
_END_SECONDS = 5
_KILLED = -9


@dataclass(frozen=True)
class ToolBuild:
    """How the tool was built, and the GPU it finds; see `EmulatedDevice`."""

    gpu: bool | Literal["unsupported"]
    gpu_partial: bool
    gpu_fixed_ms: float


@functools.cache
def _tool_server() -> str:
    """Starts the tool server; it ends with this process.

    Returns:
        The path of its socket.
    """
    folder = tempfile.mkdtemp(prefix="tool-")
    path = f"{folder}/socket"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.emulated_android.tool_server", path],
        cwd=_REPOSITORY,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
    )

    def stop() -> None:
        if server.stdin is not None:
            server.stdin.close()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return path


class ToolDoor:
    """Takes in runs of one device's tool.

    Attributes:
        runs: every run, in order of its begin.
        socket: path of the socket that the program on the device connects to.
        vanish_in_run: number of a run, seconds after its begin, seconds to stay away, whether to reboot.
        vanish_after_run: number of a run, seconds to stay away, whether to reboot.
        files: the device's.
    """

    files: DeviceFiles

    def __init__(self, build: ToolBuild, faults: Faults, vanish: Callable[[float | None, bool], None]) -> None:
        """Prepares a door.

        Args:
            build: how the tool was built.
            faults: what goes wrong with its runs.
            vanish: lets the device vanish for some seconds, or for good, and reboot or not.
        """
        self.runs: list[Run] = []
        self.vanish_in_run: tuple[int, float, float | None, bool] | None = None
        self.vanish_after_run: tuple[int, float | None, bool] | None = None
        self._build, self._faults, self._vanish = build, faults, vanish
        self._folder = tempfile.mkdtemp(prefix="door-")
        self.socket = f"{self._folder}/socket"
        self._listener = socket.socket(socket.AF_UNIX)
        self._lock = threading.Lock()
        self._serving: set[threading.Thread] = set()

    def open(self) -> None:
        """Starts taking in runs."""
        _tool_server()
        self._listener.bind(self.socket)
        self._listener.listen(64)
        threading.Thread(target=self._accept, name="tool door", daemon=True).start()

    def close(self) -> None:
        """Stops taking in runs, and waits for those whose programs were killed."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            serving = list(self._serving)
        for thread in serving:
            thread.join(_END_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                program, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(program,), name="tool run", daemon=True)
            with self._lock:
                self._serving = {other for other in self._serving if other.is_alive()} | {thread}
                thread.start()

    def _serve(self, program: socket.socket) -> None:
        with program:
            data, outputs, _, _ = socket.recv_fds(program, 1 << 20, 2)
            if not data:
                return  # killed before it said anything
            try:
                length = int.from_bytes(data[:4], "little")
                while len(data) < 4 + length:
                    data += program.recv(4 + length - len(data))
                flavour, mask, age_s, folder, *argv = data[4:].decode(errors="surrogateescape").split("\0")
                run = self._begin(flavour, mask, float(age_s), folder, argv)
                connection = _connect(_tool_server())
                request = json.dumps(self._request(run, folder, argv)).encode()
                header = len(request).to_bytes(4, "little")
                socket.send_fds(connection, [header + request], outputs)
            finally:
                for output in outputs:
                    os.close(output)
            with connection:
                if self.vanish_in_run is not None and self.vanish_in_run[0] == run.number:
                    _, after_s, away_s, reboot = self.vanish_in_run
                    threading.Timer(after_s, self._vanish_if_running, (run, away_s, reboot)).start()
                status = _wait(program, connection)
            run.exit_status = status if status >= 0 else 128 - status
            run.end = time.monotonic()
            if self.vanish_after_run is not None and self.vanish_after_run[0] == run.number:
                self._vanish(*self.vanish_after_run[1:])
            with contextlib.suppress(OSError):
                program.sendall(status.to_bytes(4, "little", signed=True))

    def _begin(self, flavour: str, mask: str, age_s: float, folder: str, argv: Sequence[str]) -> Run:
        begin = time.monotonic() - age_s
        graphs = [word.removeprefix("--graph=") for word in argv if word.startswith("--graph=")]
        digest = ""
        if graphs:
            with contextlib.suppress(OSError):
                digest = hashlib.sha256((Path(folder) / graphs[-1]).read_bytes()).hexdigest()
        shown = [self.files.on_device(word) for word in argv]
        with self._lock:
            self.runs.append(Run(len(self.runs) + 1, flavour, shown, mask, digest, begin))
            return self.runs[-1]

    def _request(self, run: Run, folder: str, argv: Sequence[str]) -> dict[str, object]:
        return {
            "flavour": run.flavour,
            "argv": list(argv),
            "folder": folder,
            "root": str(self.files.root),
            "fault": self._faults.of(run),
            "time_factor": self._faults.time_factor(run),
            "gpu": self._build.gpu,
            "gpu_partial": self._build.gpu_partial,
            "gpu_fixed_ms": self._build.gpu_fixed_ms,
        }

    def _vanish_if_running(self, run: Run, away_s: float | None, reboot: bool) -> None:
        if run.end is None:
            self._vanish(away_s, reboot)


def _connect(path: str) -> socket.socket:
    """Connects to the tool server, which may still be starting."""
    end = time.monotonic() + _START_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _wait(program: socket.socket, server: socket.socket) -> int:
    """The run's exit status, or that of a killed one when the program's script was killed."""
    with selectors.DefaultSelector() as selector:
        selector.register(program, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)
        ready = [key.fileobj for key, _ in selector.select()]
    if server in ready:
        answer = server.recv(4)
        return int.from_bytes(answer, "little", signed=True) if answer else _KILLED
    return _KILLED  # closing the connection to the server kills the run
