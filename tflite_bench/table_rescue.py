"""A damaged latency table: how it is told, and what of it can still be read."""

import math
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_MAX_BYTES = 1 << 30
_SUFFIX = ".sqlite"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ORDERS = {"contexts": ("id",), "entries": ("context", "signature")}
_TEXTS = ("target", "fingerprint", "caches", "statistic", "signature", "measured_at")

Row = Mapping[str, Any]
"""Values by column."""


@dataclass(frozen=True)
class Rescued:
    """What of a table could be read.

    Attributes:
        contexts: their rows.
        entries: the rows of entries whose context could be read, too.
    """

    contexts: list[Row]
    entries: list[Row]


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
        try:
            (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        except UnicodeDecodeError as error:
            return str(error)
        except sqlite3.Error as error:
            return str(error) if _is_damage(error) else None
    return None if verdict == "ok" else " ".join(verdict.split())


def rescued(path: Path) -> Rescued | None:
    """The rows of a damaged table that SQLite can still read and that make sense; None where it is another database."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        shutil.copyfile(path, copy)
        _lengthen(copy)
        with closing(sqlite3.connect(copy)) as database:
            names = _tables(database)
            if names and not names >= _ORDERS.keys():
                return None
            contexts = {row["id"]: row for row in _readable(database, "contexts") if _makes_sense(row)}
            entries = {(row["context"], row["signature"]): row for row in _readable(database, "entries")}
    return Rescued(
        list(contexts.values()), [row for row in entries.values() if row["context"] in contexts and _makes_sense(row)]
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


def _makes_sense(row: Row) -> bool:
    if not all(isinstance(row[name], str) for name in _TEXTS if name in row):
        return False
    if "latency_ms" not in row:
        return True
    try:
        datetime.fromisoformat(row["measured_at"])
    except ValueError:
        return False
    return all(isinstance(row[name], float) and math.isfinite(row[name]) for name in ("latency_ms", "reference_ms"))


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
