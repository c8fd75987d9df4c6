"""The device's side of the ADB wire protocol: connections, and the streams inside them.

A message is a header of 24 bytes (command, two arguments, length, checksum, magic) and its payload. A host opens
streams by name (`shell,v2,raw:ls`, `sync:`); every payload written into one is answered by OKAY before the next may
follow. Services are functions that get a `Stream` and run in a thread of their own.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

_VERSION = 0x01000001  # from here on nobody looks at checksums
_MAX_PAYLOAD = 256 * 1024
_HEADER = struct.Struct("<4s5I")
_AUTH_TOKEN, _AUTH_PUBLIC_KEY = 1, 3


class StreamClosedError(Exception):
    """The other side closed the stream, or the connection is gone."""


Service = Callable[["Stream"], None]
FindService = Callable[[str], Service | None]


@dataclass
class _Message:
    command: bytes
    arg0: int
    arg1: int
    payload: bytes


class Stream:
    """Bytes both ways between a service and the host."""

    def __init__(self, connection: "_Connection", local_id: int, remote_id: int) -> None:
        self._connection = connection
        self._local_id, self._remote_id = local_id, remote_id
        self._changed = threading.Condition()
        self._received = bytearray()
        self._unacknowledged = 0  # payloads received that the host has no OKAY for
        self._may_write = True
        self._closed = False
        self._on_close: list[Callable[[], None]] = []

    @property
    def max_payload(self) -> int:
        """The most bytes that one message may carry."""
        return self._connection.max_payload

    def on_close(self, action: Callable[[], None]) -> None:
        """Calls `action` when the stream closes, at once if it is closed already."""
        with self._changed:
            if not self._closed:
                self._on_close.append(action)
                return
        action()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; waits for them.

        Raises:
            StreamClosedError: the stream closed before they came.
        """
        parts = bytearray()
        while len(parts) < size:
            parts += self.read_some(size - len(parts))
        return bytes(parts)

    def read_some(self, size: int) -> bytes:
        """From one to `size` bytes; waits for the first.

        Raises:
            StreamClosedError: the stream closed before it came.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._received or self._closed)
            if not self._received:
                raise StreamClosedError
            data = bytes(self._received[:size])
            del self._received[:size]
            acknowledge = 0
            if not self._received:
                acknowledge, self._unacknowledged = self._unacknowledged, 0
        for _ in range(acknowledge):
            self._send(b"OKAY", b"")
        return data

    def write(self, data: bytes) -> None:
        """Sends bytes; waits until the host has taken what was sent before.

        Raises:
            StreamClosedError: the stream is closed.
        """
        for begin in range(0, len(data), self.max_payload):
            with self._changed:
                self._changed.wait_for(lambda: self._may_write or self._closed)
                if self._closed:
                    raise StreamClosedError
                self._may_write = False
            self._send(b"WRTE", data[begin : begin + self.max_payload])

    def close(self) -> None:
        """Closes the stream after everything written was taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_write or self._closed, timeout=5)
            if self._closed:
                return
        with contextlib.suppress(StreamClosedError):
            self._send(b"CLSE", b"")
        self._connection.forget(self._local_id)
        self.closed_by_host()

    def received(self, payload: bytes) -> None:
        """For the connection: the host wrote."""
        with self._changed:
            self._received += payload
            self._unacknowledged += 1
            self._changed.notify_all()

    def acknowledged(self) -> None:
        """For the connection: the host took what was written."""
        with self._changed:
            self._may_write = True
            self._changed.notify_all()

    def closed_by_host(self) -> None:
        """For the connection: nothing will come any more."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            actions, self._on_close = self._on_close, []
            self._changed.notify_all()
        for action in actions:
            action()

    def _send(self, command: bytes, payload: bytes) -> None:
        self._connection.send(_Message(command, self._local_id, self._remote_id, payload))


class _Connection:
    """One host; reads messages until the socket closes."""

    def __init__(self, peer: socket.socket, banner: bytes, find_service: FindService, unauthorized: bool) -> None:
        self.max_payload = _MAX_PAYLOAD
        self._socket = peer
        self._banner, self._find_service, self._unauthorized = banner, find_service, unauthorized
        self._sending = threading.Lock()
        self._streams_lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._last_id = 0

    def serve(self) -> None:
        """Answers the host until it, or `drop`, closes the connection."""
        try:
            while (message := self._receive()) is not None:
                self._answer(message)
        except (OSError, StreamClosedError):
            pass
        finally:
            self._socket.close()
            with self._streams_lock:
                streams, self._streams = list(self._streams.values()), {}
            for stream in streams:
                stream.closed_by_host()

    def drop(self) -> None:
        """Cuts the connection, as pulling the cable does."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def send(self, message: _Message) -> None:
        """Sends one message.

        Raises:
            StreamClosedError: the connection is gone.
        """
        checksum = sum(message.payload) if message.command in (b"CNXN", b"AUTH") else 0
        magic = int.from_bytes(message.command, "little") ^ 0xFFFFFFFF
        header = _HEADER.pack(message.command, message.arg0, message.arg1, len(message.payload), checksum, magic)
        try:
            with self._sending:
                self._socket.sendall(header + message.payload)
        except OSError as error:
            raise StreamClosedError from error

    def forget(self, local_id: int) -> None:
        """A stream closed itself."""
        with self._streams_lock:
            self._streams.pop(local_id, None)

    def _receive(self) -> _Message | None:
        header = self._receive_bytes(_HEADER.size)
        if header is None:
            return None
        command, arg0, arg1, length, _, _ = _HEADER.unpack(header)
        payload = self._receive_bytes(length)
        return None if payload is None else _Message(command, arg0, arg1, payload)

    def _receive_bytes(self, size: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                return None
            parts += part
        return bytes(parts)

    def _answer(self, message: _Message) -> None:
        if message.command in (b"CNXN", b"AUTH"):
            if message.command == b"CNXN":
                self.max_payload = min(_MAX_PAYLOAD, message.arg1)
            if self._unauthorized:
                is_public_key = message.command == b"AUTH" and message.arg0 == _AUTH_PUBLIC_KEY
                if not is_public_key:  # that one waits for somebody to tap "allow", and nobody does
                    self.send(_Message(b"AUTH", _AUTH_TOKEN, 0, bytes(20)))
                return
            self.send(_Message(b"CNXN", _VERSION, _MAX_PAYLOAD, self._banner))
        elif self._unauthorized:
            return
        elif message.command == b"OPEN":
            self._open(message.arg0, message.payload.rstrip(b"\0").decode(errors="surrogateescape"))
        else:
            with self._streams_lock:
                stream = self._streams.get(message.arg1)
                if message.command == b"CLSE":
                    self._streams.pop(message.arg1, None)
            if stream is None:
                return
            if message.command == b"WRTE":
                stream.received(message.payload)
            elif message.command == b"OKAY":
                stream.acknowledged()
            elif message.command == b"CLSE":
                stream.closed_by_host()

    def _open(self, remote_id: int, name: str) -> None:
        service = self._find_service(name)
        if service is None:
            self.send(_Message(b"CLSE", 0, remote_id, b""))
            return
        with self._streams_lock:
            self._last_id += 1
            local_id = self._last_id
            stream = self._streams[local_id] = Stream(self, local_id, remote_id)
        self.send(_Message(b"OKAY", local_id, remote_id, b""))
        threading.Thread(target=_run_service, args=(service, stream), name=f"adbd {name[:30]}", daemon=True).start()


def _run_service(service: Service, stream: Stream) -> None:
    try:
        with contextlib.suppress(StreamClosedError):
            service(stream)
    finally:
        stream.close()


class AdbDaemon:
    """Listens on a loopback port; one thread per connection, one per stream.

    Attributes:
        port: the TCP port; stays the same from one `listen` to the next.
        connections: how many connections were accepted so far.
    """

    def __init__(self, banner: str, find_service: FindService, unauthorized: bool = False) -> None:
        """Prepares a daemon; `listen` opens its port.

        Args:
            banner: what the device says of itself, `device::ro.product.name=…;features=…`.
            find_service: gives the service for a stream's name, or None to refuse it.
            unauthorized: asks for authentication and never accepts any.
        """
        self.port = 0
        self.connections = 0
        self._banner, self._find_service, self._unauthorized = banner.encode(), find_service, unauthorized
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()

    def listen(self) -> None:
        """Opens the port, unless it is open."""
        with self._lock:
            if self._listener is not None:
                return
            listener = self._listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self.port))
            listener.listen()
            self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), name="adbd", daemon=True).start()

    def drop(self) -> None:
        """Closes the port and cuts every connection."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections = list(self._open)
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            listener.close()
        for connection in connections:
            connection.drop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(peer, self._banner, self._find_service, self._unauthorized)
            with self._lock:
                if self._listener is not listener:
                    peer.close()
                    return
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="adbd connection", daemon=True).start()

    def _serve(self, connection: _Connection) -> None:
        connection.serve()
        with self._lock:
            self._open.discard(connection)
