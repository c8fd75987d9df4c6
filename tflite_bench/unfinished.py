"""What is measured of batches that are not finished, kept in the table's file: an interruption costs nothing."""

import hashlib
import math
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.timing import Reading

_MAX_AGE = timedelta(hours=24)
_STORED_EVERY_S = 1.0
_READING = "latency_ms, p5_ms, p95_ms, runs, reference_ms"


@dataclass(frozen=True)
class SingleReading:
    """A layer's reading in one pass over its batch.

    Attributes:
        signature: of the layer.
        number: of the pass.
        reading: in milliseconds.
        reference_ms: what the reference network took at the same place just before.
        model: the network it was read off, where a pass may read it off several.
    """

    signature: str
    number: int
    reading: Reading
    reference_ms: float
    model: str = ""


class Unfinished:
    """The unfinished batches of one table; what is older than a day is forgotten.

    What is kept of a layer is forgotten when its batch is finished (`LatencyTable.finish`): processes that measure
    other layers lose nothing by it, and those that measure the same ones find the entry.
    """

    def __init__(self, table: LatencyTable) -> None:
        """Of the table's context."""
        self._table = table
        self._to_store: list[SingleReading] = []
        self._stored_at_s = -math.inf
        oldest = (datetime.now(UTC) - _MAX_AGE).isoformat(timespec="seconds")
        with self._table.opened() as (database, _):
            database.execute("DELETE FROM unfinished_readings WHERE measured_at < ?", [oldest])
            database.execute("DELETE FROM unfinished_tries WHERE measured_at < ?", [oldest])

    def readings(self, signatures: Collection[str]) -> list[SingleReading]:
        """Those of some layers, in the try at their batch that was interrupted."""
        with self._table.opened() as (database, context):
            rows = database.execute(
                f"SELECT signature, pass, model, {_READING} FROM unfinished_readings WHERE context = ?",
                [context],
            ).fetchall()
        return [
            SingleReading(row[0], row[1], Reading(*row[3:7]), row[7], row[2]) for row in rows if row[0] in signatures
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self._store()

    def keep(self, readings: Iterable[SingleReading]) -> None:
        """Stores readings, at most once in a second: it takes as long as a small layer's reading.

        What is not stored yet is if measuring ends with an exception within a `with` statement of this.
        """
        self._to_store += readings
        if time.monotonic() >= self._stored_at_s + _STORED_EVERY_S:
            self._store()

    def _store(self) -> None:
        """All or none."""
        readings, self._to_store = self._to_store, []
        self._stored_at_s = time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(one.signature, one.number, one.model, *_row(one), now) for one in readings]
        with self._table.opened() as (database, context):
            database.executemany(
                "INSERT OR REPLACE INTO unfinished_readings "
                f"(context, signature, pass, model, {_READING}, measured_at) VALUES (?{', ?' * 9})",
                [(context, *row) for row in rows],
            )

    def tries(self, batch: Collection[str]) -> list[list[Entry]]:
        """The entries of each finished try at a batch.

        Args:
            batch: all signatures of the batch.
        """
        with self._table.opened() as (database, context):
            rows = database.execute(
                f"SELECT try, signature, {_READING}, drift, measured_at FROM unfinished_tries "
                "WHERE context = ? AND batch = ? ORDER BY try, signature",
                [context, _digest(batch)],
            ).fetchall()
        entries: dict[int, list[Entry]] = {}
        for number, signature, *figures, reference_ms, drift, measured_at in rows:
            entry = Entry(signature, Reading(*figures), reference_ms, drift, flagged=True, measured_at=measured_at)
            entries.setdefault(number, []).append(entry)
        return list(entries.values())

    def keep_try(self, batch: Collection[str], number: int, entries: Sequence[Entry]) -> None:
        """Stores the entries of a try that was not steady in place of its single readings, both or neither.

        Args:
            batch: all signatures of the batch.
            number: of the try.
            entries: of the try.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(one.signature, number, _digest(batch), *_row(one), one.drift, now) for one in entries]
        with self._table.opened() as (database, context):
            database.executemany(
                f"INSERT OR REPLACE INTO unfinished_tries "
                f"(context, signature, try, batch, {_READING}, drift, measured_at) VALUES (?{', ?' * 10})",
                [(context, *row) for row in rows],
            )
            database.executemany(
                "DELETE FROM unfinished_readings WHERE context = ? AND signature = ?",
                [(context, signature) for signature in batch],
            )


def _row(measured: SingleReading | Entry) -> tuple[float, float, float, int, float]:
    reading = measured.reading
    return reading.latency_ms, reading.p5_ms, reading.p95_ms, reading.runs, measured.reference_ms


def _digest(batch: Collection[str]) -> str:
    return hashlib.sha256("\n".join(sorted(batch)).encode()).hexdigest()
