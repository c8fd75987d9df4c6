"""The `sync:` service: stat, list, push and pull files."""

import contextlib
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from tests.emulated_android.adbd import Stream
from tests.emulated_android.files import DeviceFiles

_CHUNK = 64 * 1024
_REQUEST = struct.Struct("<4sI")
_STAT_V1 = struct.Struct("<3I")  # mode, size, mtime
_STAT_V2 = struct.Struct("<I2Q4IQ3q")  # error, device, inode, mode, links, user, group, size, three times

OnPush = Callable[[str, int], None]


class SyncService:
    """Serves one `sync:` stream; a push may be watched, and stopped, byte by byte."""

    def __init__(self, files: DeviceFiles, on_data: Callable[[int], None], on_pushed: OnPush) -> None:
        """Prepares the service.

        Args:
            files: the device's files.
            on_data: called with the number of bytes of every piece that a push brings.
            on_pushed: called with path and size after a push is finished.
        """
        self._files, self._on_data, self._on_pushed = files, on_data, on_pushed

    def __call__(self, stream: Stream) -> None:
        """Answers requests until the host says QUIT or goes away."""
        while True:
            request, length = _REQUEST.unpack(stream.read(_REQUEST.size))
            if request == b"QUIT":
                return
            text = stream.read(length).decode(errors="surrogateescape")
            if request in (b"STAT", b"STA2", b"LST2"):
                stream.write(request + self._stat(text, v2=request != b"STAT", follow=request == b"STA2"))
            elif request in (b"LIST", b"LIS2"):
                self._list(stream, text, v2=request == b"LIS2")
            elif request == b"SEND":
                self._push(stream, text)
            elif request == b"RECV":
                self._pull(stream, text)
            else:
                stream.write(_failure(f"unknown command {request!r}"))
                return

    def _stat(self, path: str, *, v2: bool, follow: bool) -> bytes:
        try:
            return self._stat_of(self._files.local(path), v2=v2, follow=follow)
        except OSError as error:
            return _STAT_V2.pack(error.errno or 0, *[0] * 10) if v2 else bytes(_STAT_V1.size)

    def _stat_of(self, local: Path, *, v2: bool, follow: bool) -> bytes:
        found = local.stat() if follow else local.lstat()
        size = self._files.size(local)
        if not v2:
            return _STAT_V1.pack(found.st_mode, size & 0xFFFFFFFF, int(found.st_mtime))
        times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
        owner = (found.st_nlink, found.st_uid, found.st_gid)
        return _STAT_V2.pack(0, found.st_dev, found.st_ino, found.st_mode, *owner, size, *times)

    def _list(self, stream: Stream, path: str, *, v2: bool) -> None:
        identifier = b"DNT2" if v2 else b"DENT"
        entries = b""
        with contextlib.suppress(OSError):
            for entry in sorted(self._files.local(path).iterdir()):
                name = os.fsencode(entry.name)
                entries += identifier + self._stat_of(entry, v2=v2, follow=False)
                entries += struct.pack("<I", len(name)) + name
        empty = bytes((_STAT_V2 if v2 else _STAT_V1).size + 4)
        stream.write(entries + b"DONE" + empty)

    def _push(self, stream: Stream, target: str) -> None:
        path, _, mode = target.rpartition(",")
        failure = None
        data = bytearray()
        if stat.S_ISLNK(int(mode)):
            failure = "Operation not supported"
        while True:
            request, number = _REQUEST.unpack(stream.read(_REQUEST.size))
            if request == b"DONE":
                break
            data += stream.read(number)
            self._on_data(number)
            if failure is None and len(data) > self._files.available_bytes:
                failure = "couldn't write to file: No space left on device"
                stream.write(_failure(failure))
        if failure is not None:
            return
        try:
            self._files.store(path, bytes(data), int(mode) & 0o777, mtime=number)
        except OSError as error:
            stream.write(_failure(f"couldn't create file: {os.strerror(error.errno or 0)}"))
            return
        self._on_pushed(path, len(data))
        stream.write(_REQUEST.pack(b"OKAY", 0))

    def _pull(self, stream: Stream, path: str) -> None:
        try:
            data = self._files.load(path)
        except OSError as error:
            stream.write(_failure(f"open failed: {os.strerror(error.errno or 0)}"))
            return
        for begin in range(0, len(data), _CHUNK):
            chunk = data[begin : begin + _CHUNK]
            stream.write(_REQUEST.pack(b"DATA", len(chunk)) + chunk)
        stream.write(_REQUEST.pack(b"DONE", 0))


def _failure(message: str) -> bytes:
    return _REQUEST.pack(b"FAIL", len(message.encode())) + message.encode()
