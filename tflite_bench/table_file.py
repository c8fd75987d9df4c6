"""The file of a latency table: its SQLite format, and opening it."""

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from absl import logging

from tflite_bench.damage import linked_aside, set_aside
from tflite_bench.errors import UserError
from tflite_bench.locking import filling_lock
from tflite_bench.table_rescue import Row, damage_of, rescued
from tflite_bench.whole_file import replacing

_FORMAT = 2
_BUSY_TIMEOUT_S = 60.0
_COMPANIONS = ("-journal", "-wal", "-shm")
"""What SQLite puts beside a file; beside another one it would do harm."""
_READING = "latency_ms REAL NOT NULL, p5_ms REAL NOT NULL, p95_ms REAL NOT NULL, runs INTEGER NOT NULL"
_TABLES = {
    "contexts": """(
        id INTEGER PRIMARY KEY,
        target TEXT NOT NULL, fingerprint TEXT NOT NULL, caches TEXT NOT NULL, statistic TEXT NOT NULL,
        UNIQUE (target, fingerprint, caches, statistic)
    )""",
    "entries": f"""(
        context INTEGER NOT NULL REFERENCES contexts (id),
        signature TEXT NOT NULL,
        {_READING},
        reference_ms REAL NOT NULL, measured_at TEXT NOT NULL,
        drift REAL NOT NULL DEFAULT 0, flagged INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (context, signature)
    ) WITHOUT ROWID""",
    "unfinished_readings": f"""(
        context INTEGER NOT NULL REFERENCES contexts (id),
        signature TEXT NOT NULL, pass INTEGER NOT NULL, model TEXT NOT NULL,
        {_READING},
        reference_ms REAL NOT NULL, measured_at TEXT NOT NULL,
        PRIMARY KEY (context, signature, pass, model)
    ) WITHOUT ROWID""",
    "unfinished_tries": f"""(
        context INTEGER NOT NULL REFERENCES contexts (id),
        signature TEXT NOT NULL, try INTEGER NOT NULL, batch TEXT NOT NULL,
        {_READING},
        reference_ms REAL NOT NULL, measured_at TEXT NOT NULL, drift REAL NOT NULL,
        PRIMARY KEY (context, signature, try)
    ) WITHOUT ROWID""",
}
_UPGRADES = {
    1: [
        "ALTER TABLE entries ADD COLUMN drift REAL NOT NULL DEFAULT 0",
        "ALTER TABLE entries ADD COLUMN flagged INTEGER NOT NULL DEFAULT 0",
    ],
}
"""What a file of this or an older format needs before `_TABLES` fit it."""


def prepare_file(path: Path) -> None:
    """Makes an empty latency table, or sees that the file is one; one of an older format is brought up to date.

    A damaged table is set aside; what can be read of it is kept in a new one.

    Raises:
        UserError: the file is no latency table, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder of {path} cannot be made ({error}); name another file with --table") from error
    if damage_of(path):
        _rescue(path)
    _prepare_sound(path)


def _prepare_sound(path: Path) -> None:
    with transaction(path) as database:
        database.execute("BEGIN IMMEDIATE")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if (version or tables) and not (1 <= version <= _FORMAT and tables >= {"contexts", "entries"}):
            raise UserError(f"{path} is no latency table of format {_FORMAT}; name another file with --table")
        upgrades = [statement for older, needed in _UPGRADES.items() if 1 <= version <= older for statement in needed]
        for statement in (
            *upgrades,
            *(f"CREATE TABLE IF NOT EXISTS {name} {columns}" for name, columns in _TABLES.items()),
        ):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_FORMAT}")


def _rescue(path: Path) -> None:
    """Puts a new table of what can be read in a damaged one's place; the first process to come does so."""
    with filling_lock(path, "rescue").held():
        damage = damage_of(path)
        statements = {name: f"CREATE TABLE {name} {columns}" for name, columns in _TABLES.items()}
        rows = rescued(path, statements, _FORMAT) if damage else None
        if rows is None:
            return
        with replacing(path) as fresh:
            _prepare_sound(fresh)
            with transaction(fresh) as database:
                _insert(database, "contexts", rows.contexts)
                _insert(database, "entries", rows.entries)
            for suffix in _COMPANIONS:
                companion = path.with_name(path.name + suffix)
                if companion.exists():
                    set_aside(companion)
            aside = linked_aside(path)
        logging.warning(
            "%s is damaged (%s); it is set aside as %s; %d entries could be read, and are kept.",
            path,
            damage,
            aside.name,
            len(rows.entries),
        )
        if rows.unusable:
            logging.warning(
                "Rows that %s holds and that make no sense: %d, the first in %s.",
                aside.name,
                len(rows.unusable),
                rows.unusable[0],
            )


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    """Inserts what columns of a row the table has."""
    columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
    for row in rows:
        known = [column for column in columns if column in row]
        places = ", ".join("?" * len(known))
        database.execute(
            f"INSERT OR IGNORE INTO {table} ({', '.join(known)}) VALUES ({places})", [row[column] for column in known]
        )


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are all kept or, on an error, none.

    Raises:
        UserError: SQLite cannot use the file.
    """
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as database, database:
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where its own words hold bytes of the file
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise UserError(f"{path} cannot be used as a latency table ({error}); name another with --table") from error


def forget(database: sqlite3.Connection, context_id: int, signatures: Iterable[str]) -> None:
    """Deletes what is kept of unfinished batches of these layers, and nothing of others."""
    keys = [(context_id, signature) for signature in signatures]
    for table in ("unfinished_readings", "unfinished_tries"):
        database.executemany(f"DELETE FROM {table} WHERE context = ? AND signature = ?", keys)
