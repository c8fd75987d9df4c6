"""A damaged latency table: how it is told, and what of it can still be read."""

import json
import math
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_MAX_BYTES = 1 << 30
_SUFFIX = ".sqlite"
_SHOWN = 120
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ORDERS = {"contexts": ("id",), "entries": ("context", "signature")}
_KEPT_FOR_NOW = ("unfinished_readings", "unfinished_tries")
_TEXTS = ("target", "fingerprint", "caches", "statistic", "signature", "measured_at", "model", "batch")

Row = Mapping[str, Any]
"""Values by column; bytes where a text should be are bytes that are no text."""


@dataclass(frozen=True)
class Rescued:
    """What of a table could be read.

    Attributes:
        contexts: their rows.
        entries: the rows of entries whose context could be read, too.
        unusable: contexts and entries that were read and are not among these, in words.
    """

    contexts: list[Row]
    entries: list[Row]
    unusable: list[str]


def damage_of(path: Path) -> str | None:
    """What is wrong with a latency table's file; None where it is sound, is not there, or is something else.

    What neither begins as SQLite's files do nor is called `.sqlite` is not called damaged, lest a mistyped name moves
    somebody's file.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return None
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC and path.suffix != _SUFFIX:
            return None
    with closing(sqlite3.connect(path, timeout=60.0)) as database:
        database.text_factory = _text
        try:
            (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict == "ok":
                return _nonsense_in(database)
        except UnicodeDecodeError as error:
            return str(error)
        except sqlite3.Error as error:
            return str(error) if _is_damage(error) else None
    return " ".join(str(verdict).split())


def rescued(path: Path, statements: Mapping[str, str], newest: int) -> Rescued | None:
    """The rows of a damaged table that SQLite can still read and that make sense; None where it is another database.

    Args:
        path: of the file, which stays as it is.
        statements: that make the tables, by their names; in place of what the file says of that.
        newest: format of a file that they are for; they are for older ones, too.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        shutil.copyfile(path, copy)
        _lengthen(copy)
        _define_anew(copy, statements, newest)
        with closing(sqlite3.connect(copy)) as database:
            database.text_factory = _text
            database.execute(
                "PRAGMA writable_schema = ON"
            )  # other tables' definitions may be damaged: passes over them
            names = _tables(database)
            if names and not names >= _ORDERS.keys():
                return None
            contexts = {row["id"]: row for row in _readable(database, "contexts")}
            entries = {(row["context"], row["signature"]): row for row in _readable(database, "entries")}
    sound = {number for number, row in contexts.items() if _makes_sense(row)}
    kept = {key for key, row in entries.items() if row["context"] in sound and _makes_sense(row)}
    return Rescued(
        [row for number, row in contexts.items() if number in sound],
        [row for key, row in entries.items() if key in kept],
        [_shown("contexts", row) for number, row in contexts.items() if number not in sound]
        + [_shown("entries", row) for key, row in entries.items() if key not in kept],
    )


def _lengthen(path: Path) -> None:
    """Adds the pages that a file should have by its header, empty: SQLite reads nothing of a file that is too short."""
    header = path.read_bytes()[:_HEADER_BYTES]
    if header.startswith(_MAGIC) and len(header) == _HEADER_BYTES:
        length = int.from_bytes(header[16:18], "big") * int.from_bytes(header[28:32], "big")
        if path.stat().st_size < length <= _MAX_BYTES:
            os.truncate(path, length)


def _tables(database: sqlite3.Connection) -> set[str]:
    try:
        return {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (sqlite3.Error, UnicodeDecodeError):
        return set()


def _readable(database: sqlite3.Connection, table: str) -> Iterator[Row]:
    """Rows from the first on, and from the last back, each way as far as the damage; some come twice."""
    for direction in ("ASC", "DESC"):
        order = ", ".join(f"{column} {direction}" for column in _ORDERS[table])
        try:
            cursor = database.execute(f"SELECT * FROM {table} ORDER BY {order}")
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield dict(zip(names, row, strict=True))
        except (sqlite3.Error, UnicodeDecodeError):
            continue


def _text(raw: bytes) -> str | bytes:
    """A text of the database, or its bytes where they are none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _nonsense_in(database: sqlite3.Connection) -> str | None:
    """What rows make no sense in a table that SQLite finds sound: it does not look at what a text says."""
    tables = _tables(database)
    if not tables >= _ORDERS.keys():
        return None
    for name, definition in database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
        if isinstance(definition, bytes):
            return f"the definition of {name} is no text"
    nonsense = []
    for table in [*_ORDERS, *tables.intersection(_KEPT_FOR_NOW)]:
        cursor = database.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        rows = (dict(zip(names, values, strict=True)) for values in cursor)
        nonsense += [_shown(table, row) for row in rows if not _makes_sense(row)]
    return f"rows that make no sense: {len(nonsense)}, the first in {nonsense[0]}" if nonsense else None


def _define_anew(path: Path, statements: Mapping[str, str], newest: int) -> None:
    """Mends what a file says of how its tables are made: without that SQLite reads nothing of them."""
    with closing(sqlite3.connect(path)) as database, suppress(sqlite3.Error, UnicodeDecodeError):
        database.execute("PRAGMA writable_schema = ON")
        if database.execute("PRAGMA user_version").fetchone()[0] > newest:
            return
        with database:
            for table, statement in statements.items():
                database.execute(
                    "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", [statement, table]
                )


def _shown(table: str, row: Row) -> str:
    """A row in words: what of it is no text, or else what it is of."""
    texts = {name: row[name] for name in _TEXTS if name in row}
    name, value = next((pair for pair in texts.items() if not isinstance(pair[1], str)), next(iter(texts.items())))
    return f"{table}: {name} {ascii(value)[:_SHOWN]}"


def _makes_sense(row: Row) -> bool:
    if not all(isinstance(row[name], str) for name in _TEXTS if name in row):
        return False
    if "fingerprint" in row:
        try:
            return isinstance(json.loads(row["fingerprint"]), dict)
        except (ValueError, RecursionError):
            return False
    try:
        datetime.fromisoformat(row["measured_at"])
    except ValueError:
        return False
    return all(isinstance(row[name], float) and math.isfinite(row[name]) for name in ("latency_ms", "reference_ms"))


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
