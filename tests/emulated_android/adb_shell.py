"""The `shell` and `exec` services: commands run by the host's `/bin/sh`, as if on the device."""

import contextlib
import os
import selectors
import signal
import struct
import subprocess
import threading
from collections.abc import Callable

from tests.emulated_android.adbd import Stream, StreamClosedError
from tests.emulated_android.files import DeviceFiles

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_PACKET = struct.Struct("<BI")
_CHUNK = 32 * 1024


class ShellService:
    """Runs commands, and kills them when their stream closes or the device vanishes."""

    def __init__(self, files: DeviceFiles, on_command: Callable[[str], None]) -> None:
        """Prepares the service.

        Args:
            files: the device's files; paths in commands are replaced by where these are.
            on_command: called with every command before it runs.
        """
        self._files, self._on_command = files, on_command
        self._lock = threading.Lock()
        self._groups: set[int] = set()

    def run(self, command: str, stream: Stream, *, packets: bool) -> None:
        """Runs one command until it ends.

        Args:
            command: text for the shell; empty for a shell that reads commands from its input.
            stream: where its input comes from and its output goes to.
            packets: shell protocol (version 2): apart by stdout and stderr, with the exit status at the end.
        """
        self._on_command(command)
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"ulimit -c 0; {self._files.in_command(command)}"] if command else ["/bin/sh"],
            cwd=self._files.root,
            env=self._files.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if packets else subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        with self._lock:
            self._groups.add(process.pid)
        stream.on_close(lambda: self._kill(process.pid) if process.returncode is None else None)
        feed = _feed_packets if packets else _feed_bytes
        threading.Thread(target=feed, args=(stream, process), name="adbd stdin", daemon=True).start()
        try:
            self._pass_output(process, stream, packets=packets)
            status = process.wait()
            if packets:
                stream.write(_PACKET.pack(_EXIT, 1) + bytes([status if status >= 0 else 128 - status]))
        finally:
            if process.poll() is None:
                self._kill(process.pid)
                process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            with self._lock:
                if not _exists(process.pid):
                    self._groups.discard(process.pid)

    def kill_all(self) -> None:
        """Kills every running command and what it left behind."""
        with self._lock:
            groups = list(self._groups)
        for group in groups:
            self._kill(group)

    def _kill(self, group: int) -> None:
        with self._lock:
            if group not in self._groups:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _pass_output(self, process: subprocess.Popen, stream: Stream, *, packets: bool) -> None:
        """Passes on output until all of it came, or the command has ended and nothing more waits."""
        ended = os.pidfd_open(process.pid)
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            stack.callback(os.close, ended)
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


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


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
