"""The journal of a run: one line of JSON for each finished thing, appended and on disk before anything goes on."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """An append-only file; a last line that an interruption cut short is dropped."""

    def __init__(self, path: Path) -> None:
        """Reads what is there."""
        self._path = path
        self._events: list[dict[str, Any]] = []
        self._torn_bytes = 0
        if path.exists():
            complete, _, torn = path.read_bytes().rpartition(b"\n")
            self._events = [json.loads(line) for line in complete.splitlines()]
            self._torn_bytes = len(torn)

    def append(self, event: str, **values: Any) -> dict[str, Any]:
        """Records that something is finished; returns the record."""
        record = {"event": event, **values}
        with open(self._path, "ab") as file:
            if self._torn_bytes:
                file.truncate(file.tell() - self._torn_bytes)
                self._torn_bytes = 0
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._events.append(record)
        return record

    def events(self, event: str | None = None) -> Iterator[dict[str, Any]]:
        """All records, or those of one kind, oldest first."""
        return (record for record in self._events if event in (None, record["event"]))

    def last(self, event: str) -> dict[str, Any] | None:
        """The newest record of one kind."""
        return next((record for record in reversed(self._events) if record["event"] == event), None)
