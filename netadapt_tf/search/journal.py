"""The journal of a run: one line of JSON for each finished thing, appended and on disk before anything goes on."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tflite_bench.damage import linked_aside
from tflite_bench.errors import UserError
from tflite_bench.whole_file import replacing

_KEYS = {
    "iteration": {"iteration", "accuracy", "predicted", "measured", "spread"},
    "proposal": {"iteration", "group", "filters", "accuracy"},
    "screened": {"iteration", "group", "filters", "accuracy"},
    "failed": {"iteration", "group", "filters", "reason"},
    "discarded": {"iteration", "group", "filters"},
    "long_term": {"iteration"},
    "quantization_aware": {"iteration"},
    "finished": {"budget"},
    "cost": {"iteration", "start", "measured", "spread"},
    "devices": {"fingerprints"},
}
"""What a record of each kind holds at least."""

_NUMBERS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("iteration", "filters"), int),
    **dict.fromkeys(("accuracy", "loss"), (int, float)),
}
"""What is a number, whatever the record, and of which type."""


class Journal:
    """An append-only file; a last line that an interruption cut short is dropped.

    Attributes:
        damage: what is wrong with the first line that is no record, empty where nothing is. Neither that line nor any
            after it counts: every beginning of a journal is what a run once was, and anything else may never have been.
    """

    def __init__(self, path: Path) -> None:
        """Reads what is there.

        Raises:
            UserError: it cannot be read.
        """
        self._path = path
        self._events: list[dict[str, Any]] = []
        self._followers: list[Callable[[dict[str, Any]], None]] = []
        self._torn_bytes = 0
        self.damage = ""
        try:
            complete, _, torn = path.read_bytes().rpartition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error}") from error
        self._torn_bytes = len(torn)
        for number, line in enumerate(complete.splitlines(), 1):
            try:
                self._events.append(_checked(json.loads(line)))
            except ValueError as error:
                self.damage = f"line {number}: {error}"
                break

    def cut(self, count: int) -> Path:
        """Sets the journal aside, and begins a new one with the first records of it.

        Args:
            count: how many of them.

        Returns:
            Where the old one is.
        """
        lines = [json.dumps(record) + "\n" for record in self._events[:count]]
        with replacing(self._path) as beginning:
            beginning.write_text("".join(lines))
            aside = linked_aside(self._path)
        self._events, self._torn_bytes, self.damage = self._events[:count], 0, ""
        return aside

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
        for follower in self._followers:
            follower(record)
        return record

    def follow(self, follower: Callable[[dict[str, Any]], None]) -> None:
        """Calls back with every record: those that are there, and each that comes, once it is on disk."""
        for record in self._events:
            follower(record)
        self._followers.append(follower)

    def events(self, event: str | None = None) -> Iterator[dict[str, Any]]:
        """All records, or those of one kind, oldest first."""
        return (record for record in self._events if event in (None, record["event"]))

    def wall_s(self) -> dict[str, float]:
        """Where the time went so far: seconds by kind of work."""
        seconds: Counter[str] = Counter()
        for record in self._events:
            wall_s = record.get("wall_s")
            if isinstance(wall_s, dict):
                seconds.update({kind: s for kind, s in wall_s.items() if isinstance(s, int | float)})
        return {kind: round(total, 1) for kind, total in seconds.items()}

    def last(self, event: str) -> dict[str, Any] | None:
        """The newest record of one kind."""
        return next((record for record in reversed(self._events) if record["event"] == event), None)


def _checked(record: Any) -> dict[str, Any]:
    is_one = isinstance(record, dict) and record.keys() >= {"event", *_KEYS.get(str(record.get("event")), set())}
    if not is_one or not all(_is_number(record[name], kind) for name, kind in _NUMBERS.items() if name in record):
        raise ValueError(f"{str(record)[:80]!r} is no record")
    return record


def _is_number(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
