"""The `shell` and `exec` services: commands run by the host's `/bin/sh`, as if on the device."""

import contextlib
import os
import re
import selectors
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable

from tests.emulated_android.adbd import Stream, StreamClosedError
from tests.emulated_android.files import DeviceFiles

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_PACKET = struct.Struct("<BI")
_CHUNK = 32 * 1024
_KILL_SECONDS = 5
_ONE_PROGRAM = re.compile(r"(?:sh|[\w.-]*/[\w./-]+)(?: [^;&|<>(){}\n]*)?")


class ShellService:
    """Runs commands; what becomes of them when their stream closes is the device's choice."""

    def __init__(self, files: DeviceFiles, on_command: Callable[[str], None], orphans_survive: bool) -> None:
        """Prepares the service.

        Args:
            files: the device's files; paths in commands are replaced by where these are.
            on_command: called with every command before it runs.
            orphans_survive: when a stream closes, its shell gets SIGHUP and what that has started nothing; otherwise
                all of it is killed.
        """
        self._files, self._on_command, self._orphans_survive = files, on_command, orphans_survive
        self._lock = threading.Lock()
        self._shells: set[subprocess.Popen] = set()
        self._is_off = False

    def run(self, command: str, stream: Stream, *, packets: bool, terminal: bool = False) -> None:
        """Runs one command until it ends.

        Args:
            command: text for the shell; empty for a shell that reads commands from its input.
            stream: where its input comes from and its output goes to.
            packets: shell protocol (version 2): apart by stdout and stderr, with the exit status at the end.
            terminal: lines end as a terminal ends them.

        Raises:
            StreamClosedError: the host closed the stream, or the device is switched off.
        """
        self._on_command(command)
        with self._lock:
            if self._is_off:
                raise StreamClosedError
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"ulimit -c 0; {_as_mksh(self._files.in_command(command))}"]
                if command
                else ["/bin/sh"],
                cwd=self._files.root,
                env=self._files.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if packets else subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,
            )
            ended = os.pidfd_open(process.pid)  # before anyone can hang it up, after which it may be gone
            self._shells.add(process)
        stream.on_close(lambda: self._hang_up(process))
        feed = _feed_packets if packets else _feed_bytes
        threading.Thread(target=feed, args=(stream, process), name="adbd stdin", daemon=True).start()
        try:
            self._pass_output(process, ended, stream, packets=packets, terminal=terminal)
            status = process.wait()
            if packets:
                stream.write(_PACKET.pack(_EXIT, 1) + bytes([status if status >= 0 else 128 - status]))
        finally:
            os.close(ended)
            self._hang_up(process)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            process.wait()
            with self._lock:
                self._shells.discard(process)

    def hang_up_all(self) -> None:
        """Does at once what the closing of every stream does."""
        with self._lock:
            shells = list(self._shells)
        for shell in shells:
            self._hang_up(shell)
        if not self._orphans_survive:
            self.kill_all()

    def kill_all(self) -> None:
        """Kills every command and all that was ever started by one, in whatever session it is by now."""
        with self._lock:
            end = time.monotonic() + _KILL_SECONDS
            while processes := _processes_with(os.fsencode(f"DEVICE={self._files.root}")):
                if time.monotonic() > end:
                    raise TimeoutError(f"processes {processes} of the emulated device cannot be killed")
                for process in processes:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                time.sleep(0.002)

    def switch_off(self) -> None:
        """Kills everything, and runs no command any more."""
        with self._lock:
            self._is_off = True
        self.kill_all()

    def _hang_up(self, shell: subprocess.Popen) -> None:
        if self._orphans_survive:
            # A process that ignores SIGHUP, such as one under nohup, has children that ignore it too.
            is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            shell.send_signal(signal.SIGKILL if is_ignored else signal.SIGHUP)
        elif shell.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)

    def _pass_output(
        self, process: subprocess.Popen, ended: int, stream: Stream, *, packets: bool, terminal: bool
    ) -> None:
        """Passes on output until all of it came, or the command has ended, as `ended` tells, and nothing more waits."""
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ, None)
            for number, pipe in ((_STDOUT, process.stdout), (_STDERR, process.stderr)):
                if pipe is not None:
                    selector.register(pipe, selectors.EVENT_READ, (number, _PathHider(self._files)))
            is_running = True
            while len(selector.get_map()) > (1 if is_running else 0):
                ready = selector.select(None if is_running else 0)
                if not ready:
                    break
                for key, _ in ready:
                    if key.data is None:
                        is_running = False
                        selector.unregister(key.fileobj)
                        continue
                    number, hider = key.data
                    data = os.read(key.fd, _CHUNK)
                    if not data:
                        selector.unregister(key.fileobj)
                    shown = hider.show(data)
                    if terminal:
                        shown = shown.replace(b"\n", b"\r\n")
                    if shown:
                        stream.write(_PACKET.pack(number, len(shown)) + shown if packets else shown)


class _PathHider:
    """Takes the place of the device's files on this machine out of output, across the borders of its pieces."""

    def __init__(self, files: DeviceFiles) -> None:
        self._root = os.fsencode(files.root)
        self._held = b""

    def show(self, data: bytes) -> bytes:
        """What can be shown after another piece; an empty one is the last."""
        shown = (self._held + data).replace(self._root, b"")
        self._held = b""
        if data:
            for length in range(min(len(self._root) - 1, len(shown)), 0, -1):
                if shown.endswith(self._root[:length]):
                    shown, self._held = shown[:-length], shown[-length:]
                    break
        return shown


def _as_mksh(command: str) -> str:
    """A command that is one program and nothing else becomes that program, in Android's shell if not in this one."""
    return f"exec {command}" if _ONE_PROGRAM.fullmatch(command) else command


def _processes_with(variable: bytes) -> list[int]:
    """Processes that have `NAME=value` in their environment."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:
                if variable in file.read().split(b"\0"):
                    found.append(int(entry))
    return found


def _feed_packets(stream: Stream, process: subprocess.Popen) -> None:
    assert process.stdin is not None
    with contextlib.suppress(StreamClosedError, OSError), process.stdin:
        while True:
            kind, length = _PACKET.unpack(stream.read(_PACKET.size))
            data = stream.read(length)
            if kind == _STDIN:
                process.stdin.write(data)
            elif kind == _CLOSE_STDIN:
                return


def _feed_bytes(stream: Stream, process: subprocess.Popen) -> None:
    assert process.stdin is not None
    with contextlib.suppress(StreamClosedError, OSError), process.stdin:
        while True:
            process.stdin.write(stream.read_some(_CHUNK))
