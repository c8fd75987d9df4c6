"""The latency table: milliseconds by layer signature, in SQLite, with where they come from.

Entries belong to a *context*: target, fingerprint of the device, treatment of the caches, statistic.
Entries of different contexts are never returned together, so they are never added up together.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tflite_bench.errors import UserError
from tflite_bench.locking import cache_folder
from tflite_bench.timing import Reading

_FORMAT = 2
_BUSY_TIMEOUT_S = 60.0
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS contexts (
        id INTEGER PRIMARY KEY,
        target TEXT NOT NULL, fingerprint TEXT NOT NULL, caches TEXT NOT NULL, statistic TEXT NOT NULL,
        UNIQUE (target, fingerprint, caches, statistic)
    )""",
    """CREATE TABLE IF NOT EXISTS entries (
        context INTEGER NOT NULL REFERENCES contexts (id),
        signature TEXT NOT NULL,
        latency_ms REAL NOT NULL, p5_ms REAL NOT NULL, p95_ms REAL NOT NULL, runs INTEGER NOT NULL,
        reference_ms REAL NOT NULL, measured_at TEXT NOT NULL, drift REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (context, signature)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS unfinished (
        context INTEGER NOT NULL REFERENCES contexts (id),
        slot TEXT NOT NULL,
        latency_ms REAL NOT NULL, p5_ms REAL NOT NULL, p95_ms REAL NOT NULL, runs INTEGER NOT NULL,
        PRIMARY KEY (context, slot)
    ) WITHOUT ROWID""",
)
_UPGRADES = {1: ["ALTER TABLE entries ADD COLUMN drift REAL NOT NULL DEFAULT 0"]}
"""What a file of an older format needs before `_SCHEMA` fits it."""


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
        measured_at: when, in UTC and ISO 8601; empty for now.
    """

    signature: str
    reading: Reading
    reference_ms: float
    drift: float = 0.0
    measured_at: str = ""


class LatencyTable:
    """The entries of one context in a table file."""

    def __init__(self, path: Path, context: Context) -> None:
        """Opens the file, or makes it.

        Raises:
            UserError: the file is no latency table, or cannot be written.
        """
        self._path = path
        prepare_file(path)
        with self._database() as database:
            database.execute(
                "INSERT OR IGNORE INTO contexts (target, fingerprint, caches, statistic) VALUES (?, ?, ?, ?)",
                context.key(),
            )
            self._context_id = database.execute(
                "SELECT id FROM contexts WHERE (target, fingerprint, caches, statistic) = (?, ?, ?, ?)",
                context.key(),
            ).fetchone()[0]
            self._latencies_ms = dict(
                database.execute("SELECT signature, latency_ms FROM entries WHERE context = ?", [self._context_id])
            )

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
        with self._database() as database:
            newest = database.execute(
                "SELECT max(measured_at) FROM entries WHERE context = ?", [self._context_id]
            ).fetchone()[0]
        return datetime.fromisoformat(newest) if newest else None

    def reference_ms(self) -> float | None:
        """The median of the reference network's readings stored so far, or None in an empty table."""
        with self._database() as database:
            readings = [
                row[0]
                for row in database.execute(
                    "SELECT reference_ms FROM entries WHERE context = ? ORDER BY reference_ms", [self._context_id]
                )
            ]
        return readings[len(readings) // 2] if readings else None

    def entries(self) -> list[Entry]:
        """All entries, by signature."""
        with self._database() as database:
            rows = database.execute(
                "SELECT signature, latency_ms, p5_ms, p95_ms, runs, reference_ms, drift, measured_at FROM entries "
                "WHERE context = ? ORDER BY signature",
                [self._context_id],
            ).fetchall()
        return [Entry(row[0], Reading(*row[1:5]), *row[5:]) for row in rows]

    def add(self, entries: Iterable[Entry]) -> None:
        """Stores entries, all or none; they replace older ones of the same signature, and end what was unfinished."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            (
                self._context_id,
                entry.signature,
                entry.reading.latency_ms,
                entry.reading.p5_ms,
                entry.reading.p95_ms,
                entry.reading.runs,
                entry.reference_ms,
                entry.measured_at or now,
                entry.drift,
            )
            for entry in entries
        ]
        with self._database() as database:
            database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            database.execute("DELETE FROM unfinished WHERE context = ?", [self._context_id])
        self._latencies_ms.update({row[1]: row[2] for row in rows})

    def unfinished(self) -> dict[str, Reading]:
        """Readings of a batch that was interrupted, by the slot that `add_unfinished` was told."""
        with self._database() as database:
            rows = database.execute(
                "SELECT slot, latency_ms, p5_ms, p95_ms, runs FROM unfinished WHERE context = ?", [self._context_id]
            )
            return {row[0]: Reading(*row[1:]) for row in rows}

    def add_unfinished(self, slot: str, reading: Reading) -> None:
        """Keeps a single reading until its batch is finished."""
        row = (self._context_id, slot, reading.latency_ms, reading.p5_ms, reading.p95_ms, reading.runs)
        with self._database() as database:
            database.execute("INSERT OR REPLACE INTO unfinished VALUES (?, ?, ?, ?, ?, ?)", row)

    def drop_unfinished(self) -> None:
        """Forgets the single readings of a batch that is measured anew."""
        with self._database() as database:
            database.execute("DELETE FROM unfinished WHERE context = ?", [self._context_id])

    def _database(self) -> AbstractContextManager[sqlite3.Connection]:
        return _transaction(self._path)


def default_table() -> Path:
    """The latency table in the user's cache folder."""
    return cache_folder() / "latency_table.sqlite"


def stored_contexts(path: Path, kind: str) -> list[Context]:
    """The contexts of a table file whose target is of a kind (`Target.kind`) and that hold entries.

    Raises:
        UserError: the file is no latency table.
    """
    prepare_file(path)
    with _transaction(path) as database:
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
    with _transaction(path) as database:
        rows = database.execute(
            "SELECT DISTINCT target FROM contexts WHERE id IN (SELECT context FROM entries) ORDER BY target"
        )
        return [row[0] for row in rows]


def prepare_file(path: Path) -> None:
    """Makes an empty latency table, or sees that the file is one; one of an older format is brought up to date.

    Raises:
        UserError: the file is no latency table, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder of {path} cannot be made ({error}); name another file with --table") from error
    with _transaction(path) as database:
        database.execute("BEGIN IMMEDIATE")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if (version or tables) and not (1 <= version <= _FORMAT and tables >= {"contexts", "entries"}):
            raise UserError(f"{path} is no latency table of format {_FORMAT}; name another file with --table")
        upgrades = [statement for older, needed in _UPGRADES.items() if 1 <= version <= older for statement in needed]
        for statement in (*upgrades, *_SCHEMA):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_FORMAT}")


@contextmanager
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are all kept or, on an error, none; SQLite's own errors become `UserError`s."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as database, database:
            yield database
    except sqlite3.Error as error:
        raise UserError(f"{path} cannot be used as a latency table ({error}); name another with --table") from error
