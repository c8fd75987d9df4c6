"""The latency table: milliseconds by layer signature, in SQLite, with where they come from.

Entries belong to a *context*: target, fingerprint of the device, treatment of the caches, statistic.
Entries of different contexts are never returned together, so they are never added up together.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from tflite_bench.locking import Lock, cache_folder, filling_lock
from tflite_bench.table_file import forget, prepare_file, transaction
from tflite_bench.timing import Reading

_COLUMNS = "context, signature, latency_ms, p5_ms, p95_ms, runs, reference_ms, measured_at, drift, flagged"
_FILE_NAME = "latency_table.sqlite"
DEFAULT_TABLE = f"~/.cache/netadapt_tf/{_FILE_NAME}, or under $XDG_CACHE_HOME"
"""Where `default_table` is, as help texts say it."""


@dataclass(frozen=True)
class Context:
    """What all entries of one sum have in common.

    Attributes:
        target: for example `host/cpu:1`.
        fingerprint: what the readings depend on, without host names; dates are not part of it.
        caches: how caches are treated between runs.
        statistic: which statistic of the runs an entry holds.
    """

    target: str
    fingerprint: Mapping[str, str | int]
    caches: str
    statistic: str

    def key(self) -> tuple[str, str, str, str]:
        """The context as the table stores it."""
        return self.target, json.dumps(dict(self.fingerprint), sort_keys=True), self.caches, self.statistic


@dataclass(frozen=True)
class Entry:
    """One measured layer.

    Attributes:
        signature: of the layer.
        reading: in milliseconds.
        reference_ms: the reference network's reading of the same batch.
        drift: the greatest share by which the reference network was off while the batch was measured.
        flagged: whether that is more than was allowed.
        measured_at: when, in UTC and ISO 8601; empty for now.
    """

    signature: str
    reading: Reading
    reference_ms: float
    drift: float = 0.0
    flagged: bool = False
    measured_at: str = ""


class LatencyTable:
    """The entries of one context in a table file.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, context: Context, without_flagged: bool = False) -> None:
        """Opens the file, or makes it.

        Args:
            path: of the file.
            context: of the entries.
            without_flagged: treat entries that are flagged as missing, so that they are measured again.

        Raises:
            UserError: the file is no latency table, or cannot be written.
        """
        self.path = path
        self._context = context
        self._without_flagged = without_flagged
        self._latencies_ms: dict[str, float] = {}
        prepare_file(path)
        self.refresh()

    def refresh(self) -> None:
        """Takes in what other processes have stored since; what is known already stays, so that sums do not change."""
        with self.opened() as (database, context):
            stored = dict(
                database.execute(
                    "SELECT signature, latency_ms FROM entries WHERE context = ? AND flagged <= ?",
                    [context, not self._without_flagged],
                )
            )
        self._latencies_ms = stored | self._latencies_ms

    @cached_property
    def _filling(self) -> Lock:
        return filling_lock(self.path, str(self._context.key()))

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Waits until no other process fills this table's context; inside, what those have stored is known."""
        with self._filling.held():
            self.refresh()
            yield

    def __contains__(self, signature: str) -> bool:
        return signature in self._latencies_ms

    def __len__(self) -> int:
        return len(self._latencies_ms)

    def latency_ms(self, signature: str) -> float:
        """The layer's latency in milliseconds.

        Raises:
            KeyError: it has not been measured.
        """
        return self._latencies_ms[signature]

    def signatures(self) -> list[str]:
        """Of all entries, sorted."""
        return sorted(self._latencies_ms)

    def measured_at(self) -> datetime | None:
        """When the newest entry was measured, or None in an empty table."""
        with self.opened() as (database, context):
            newest = database.execute("SELECT max(measured_at) FROM entries WHERE context = ?", [context]).fetchone()[0]
        return datetime.fromisoformat(newest) if newest else None

    def reference_ms(self) -> float | None:
        """The median of the reference network's readings stored so far, or None in an empty table."""
        with self.opened() as (database, context):
            readings = [
                row[0]
                for row in database.execute(
                    "SELECT reference_ms FROM entries WHERE context = ? ORDER BY reference_ms", [context]
                )
            ]
        return readings[len(readings) // 2] if readings else None

    def entries(self) -> list[Entry]:
        """All entries, by signature."""
        with self.opened() as (database, context):
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM entries WHERE context = ? ORDER BY signature", [context]
            ).fetchall()
        return [
            Entry(row[1], Reading(*row[2:6]), row[6], row[8], flagged=bool(row[9]), measured_at=row[7]) for row in rows
        ]

    def add(self, entries: Iterable[Entry]) -> None:
        """Stores entries, all or none; they replace older ones of the same signature."""
        self.finish(entries, ())

    def finish(self, entries: Iterable[Entry], batch: Iterable[str]) -> None:
        """Stores the entries of a batch and forgets what `Unfinished` keeps of it, both or neither.

        Args:
            entries: that the batch came to.
            batch: all signatures of the batch.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            (
                entry.signature,
                entry.reading.latency_ms,
                entry.reading.p5_ms,
                entry.reading.p95_ms,
                entry.reading.runs,
                entry.reference_ms,
                entry.measured_at or now,
                entry.drift,
                entry.flagged,
            )
            for entry in entries
        ]
        with self.opened() as (database, context):
            database.executemany(
                f"INSERT OR REPLACE INTO entries ({_COLUMNS}) VALUES (?{', ?' * 9})", [(context, *row) for row in rows]
            )
            forget(database, context, batch)
        self._latencies_ms.update({row[0]: row[1] for row in rows})

    @contextmanager
    def opened(self) -> Iterator[tuple[sqlite3.Connection, int]]:
        """The file in a transaction, and the number of the context in it.

        The number is looked up each time: another process that mends a damaged file may give it to another context.
        """
        with transaction(self.path) as database:
            yield database, _context_id(database, self._context)


def _context_id(database: sqlite3.Connection, context: Context) -> int:
    find = "SELECT id FROM contexts WHERE (target, fingerprint, caches, statistic) = (?, ?, ?, ?)"
    found = database.execute(find, context.key()).fetchone()
    if found is None:
        database.execute(
            "INSERT OR IGNORE INTO contexts (target, fingerprint, caches, statistic) VALUES (?, ?, ?, ?)",
            context.key(),
        )
        found = database.execute(find, context.key()).fetchone()
    return int(found[0])


def default_table() -> Path:
    """The latency table in the user's cache folder."""
    return cache_folder() / _FILE_NAME


def stored_contexts(path: Path, kind: str) -> list[Context]:
    """The contexts of a table file whose target is of a kind (`Target.kind`) and that hold entries.

    Raises:
        UserError: the file is no latency table.
    """
    prepare_file(path)
    with transaction(path) as database:
        rows = database.execute(
            "SELECT target, fingerprint, caches, statistic FROM contexts "
            "WHERE target = ? AND id IN (SELECT context FROM entries) ORDER BY id",
            [kind],
        ).fetchall()
    return [
        Context(target, json.loads(fingerprint), caches, statistic) for target, fingerprint, caches, statistic in rows
    ]


def stored_kinds(path: Path) -> list[str]:
    """The kinds of target that a table file holds entries of.

    Raises:
        UserError: the file is no latency table.
    """
    prepare_file(path)
    with transaction(path) as database:
        rows = database.execute(
            "SELECT DISTINCT target FROM contexts WHERE id IN (SELECT context FROM entries) ORDER BY target"
        )
        return [row[0] for row in rows]
