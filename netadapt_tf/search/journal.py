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
        if path.exists():
            content = path.read_bytes()
            complete, _, torn = content.rpartition(b"\n")
            self._events = [json.loads(line) for line in complete.splitlines()]
            if torn:
                with open(path, "r+b") as file:
                    file.truncate(len(content) - len(torn))

    def append(self, event: str, **values: Any) -> dict[str, Any]:
        """Records that something is finished; returns the record."""
        record = {"event": event, **values}
        with open(self._path, "a") as file:
            file.write(json.dumps(record) + "\n")
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
