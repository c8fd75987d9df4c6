"""Damaged tables: named, set aside, and what SQLite can still read of them is kept."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tflite_bench.errors import UserError
from tflite_bench.latency_table import Context, Entry, LatencyTable, stored_contexts, stored_kinds
from tflite_bench.table_file import transaction
from tflite_bench.timing import Reading
from tflite_bench.unfinished import SingleReading, Unfinished

CONTEXT = Context("host/cpu:1", {"cpu": "a"}, "warm", "median")
ENTRIES = 600
PAGE = 4096


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "table.sqlite"
    reading = Reading(1.0, 0.5, 2.0, 100)
    LatencyTable(path, CONTEXT).add([Entry(f"CONV_2D {number:04}", reading, 0.1) for number in range(ENTRIES)])
    return path


def zeroed_page(content: bytes, number: int) -> bytes:
    return content[: number * PAGE] + bytes(PAGE) + content[(number + 1) * PAGE :]


@pytest.mark.parametrize(
    ("damage", "at_least"),
    [
        (lambda content: b"no database" * 100, 0),
        (lambda content: content[:50], 0),
        (lambda content: content[: len(content) // 2], 1),
        (lambda content: zeroed_page(content, len(content) // PAGE // 2), ENTRIES // 2),
    ],
    ids=["foreign bytes", "only a header", "half", "a page of zeros"],
)
def test_what_can_be_read_is_kept_and_the_file_set_aside(path, caplog, damage, at_least):
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    table = LatencyTable(path, CONTEXT)
    assert at_least <= len(table) < ENTRIES
    assert all(table.latency_ms(signature) == 1.0 for signature in table.signatures())
    aside = path.with_name("table.sqlite.damaged-1")
    assert aside.read_bytes() == damaged
    assert f"set aside as {aside.name}; {len(table)} entries could be read" in caplog.text
    table.add([Entry("new", Reading(3.0, 3.0, 3.0, 1), 0.1)])
    caplog.clear()
    assert LatencyTable(path, CONTEXT).latency_ms("new") == 3.0
    assert not caplog.text, "what was mended is not mended again"
    assert sorted(file.name for file in path.parent.iterdir()) == ["table.sqlite", "table.sqlite.damaged-1"]


def replaced(old: bytes, new: bytes) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))

    return damage


def executed(statement: str) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        with sqlite3.connect(path) as database:
            database.executescript(statement)

    return damage


def both(*damages: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: [damage(path) for damage in damages]


NO_TEXT = "CAST(x'ff30' AS TEXT)"
TWO_ROWS = "signature IN ('CONV_2D 0100', 'CONV_2D 0500')"


@pytest.mark.parametrize(
    ("damage", "kept", "named"),
    [
        (both(replaced(b"2D 0100", b"2D \xff100"), replaced(b"2D 0500", b"2D \xff500")), 598, r"b'CONV_2D \xff100'"),
        (
            executed(f"UPDATE entries SET signature = CAST(x'ff' || signature AS TEXT) WHERE {TWO_ROWS}"),
            598,
            r"2, the first in entries: signature b'\xffCONV_2D 0100'",
        ),
        (executed(f"UPDATE entries SET measured_at = {NO_TEXT} WHERE {TWO_ROWS}"), 598, r"measured_at b'\xff0'"),
        (executed(f"UPDATE entries SET measured_at = 'soon' WHERE {TWO_ROWS}"), 598, "signature 'CONV_2D 0100'"),
        (executed(f"UPDATE entries SET signature = CAST(signature AS BLOB) WHERE {TWO_ROWS}"), 598, "2, the first"),
        (
            replaced(b'{"cpu": "a"}', b'{"cpu": "\xff"}'),
            0,
            r"""601, the first in contexts: fingerprint b'{"cpu": "\xff"}'""",
        ),
        (replaced(b'{"cpu": "a"}', b'{"cpu": "a"]'), 0, "601, the first in contexts: target 'host/cpu:1'"),
        (executed(f"UPDATE unfinished_readings SET model = {NO_TEXT}"), 600, r"unfinished_readings: model b'\xff0'"),
        (executed(f"UPDATE unfinished_readings SET signature = {NO_TEXT}"), 600, r"signature b'\xff0'"),
        (
            replaced(b"drift REAL NOT NULL DEFAULT", b"dri\xfft REAL NOT NULL DEFAULT"),
            600,
            "definition of entries is no",
        ),
        (replaced(b"CREATE TABLE entries", b"CREATE TABL\xff entries"), 600, "0xff"),
        (replaced(b"CREATE TABLE unfinished_tries", b"CREATE TABL\xff unfinished_tries"), 600, "0xff"),
    ],
)
def test_what_makes_no_sense_is_named_and_everything_else_kept(path, caplog, damage, kept, named):
    other = Context("android/gpu", {}, "warm", "median")
    LatencyTable(path, other).add([Entry("ADD", Reading(2.0, 2.0, 2.0, 1), 0.1)])
    reading = SingleReading("half", 0, Reading(5.0, 5.0, 5.0, 1), 0.1)
    Unfinished(LatencyTable(path, CONTEXT)).keep([reading])
    damage(path)
    damaged = path.read_bytes()
    table = LatencyTable(path, CONTEXT)
    assert len(table.entries()) == len(table) == kept
    assert LatencyTable(path, other).signatures() == ["ADD"]
    assert path.with_name("table.sqlite.damaged-1").read_bytes() == damaged
    assert named in caplog.text
    assert f"{kept + 1} entries could be read, and are kept" in caplog.text
    caplog.clear()
    for kind in stored_kinds(path):
        stored_contexts(path, kind)
    table.measured_at()
    Unfinished(table).readings({"half"})
    assert not caplog.text, "what was mended is not mended again"


def test_of_a_damaged_table_of_the_older_format_everything_is_kept(path, caplog):
    executed(
        "ALTER TABLE entries DROP COLUMN drift; ALTER TABLE entries DROP COLUMN flagged; "
        "DROP TABLE unfinished_readings; DROP TABLE unfinished_tries; PRAGMA user_version = 1; VACUUM"
    )(path)
    replaced(b"CONV_2D 0599", b"CONV_2D \xff599")(path)
    assert len(LatencyTable(path, CONTEXT).entries()) == ENTRIES - 1
    assert "the first in entries: signature" in caplog.text


def test_a_rescue_that_fails_leaves_the_damaged_file_to_the_next(path, monkeypatch):
    path.write_bytes(path.read_bytes()[: 10 * PAGE])
    damaged = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no space left"):
            LatencyTable(path, CONTEXT)
    assert path.read_bytes() == damaged
    assert not [file for file in path.parent.iterdir() if file.name.startswith(".")]
    assert len(LatencyTable(path, CONTEXT)) > 0


def test_an_older_damaged_file_stays_when_another_comes(path):
    for number in (1, 2):
        path.write_bytes(b"x" * 100)
        LatencyTable(path, CONTEXT)
        assert path.with_name(f"table.sqlite.damaged-{number}").exists()


def test_rows_of_an_unknown_context_are_not_kept(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE entries SET context = 99 WHERE signature < 'CONV_2D 0300'")
    path.write_bytes(path.read_bytes()[:-PAGE])
    table = LatencyTable(path, CONTEXT)
    assert all(signature >= "CONV_2D 0300" for signature in table.signatures())


def test_what_is_not_ours_is_not_moved(tmp_path):
    other = tmp_path / "people.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE people (name TEXT)")
        database.executemany("INSERT INTO people VALUES (?)", [["x" * 3000]] * 9)
    other.write_bytes(other.read_bytes()[:-PAGE])
    network = tmp_path / "net.keras"
    network.write_bytes(b"PK" + bytes(300))
    for path in (other, network):
        before = path.read_bytes()
        with pytest.raises(UserError, match="--table"):
            LatencyTable(path, CONTEXT)
        assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_context_whose_number_changed_in_a_rescue_keeps_its_entries_to_itself(path):
    table = LatencyTable(path, CONTEXT)
    path.write_bytes(bytes(path.stat().st_size))
    other = Context("android/gpu", {}, "warm", "median")
    LatencyTable(path, other)
    unfinished = Unfinished(table)
    unfinished.keep([SingleReading("half", 0, Reading(5.0, 5.0, 5.0, 1), 0.1)])
    table.add([Entry("new", Reading(3.0, 3.0, 3.0, 1), 0.1)])
    assert not LatencyTable(path, other).signatures()
    assert not Unfinished(LatencyTable(path, other)).readings({"half"})
    assert LatencyTable(path, CONTEXT).signatures() == ["new"]
    assert len(Unfinished(LatencyTable(path, CONTEXT)).readings({"half"})) == 1


def test_there_is_a_table_at_every_moment_of_a_rescue(path, monkeypatch):
    path.write_bytes(path.read_bytes()[:-PAGE])
    monkeypatch.setattr(Path, "rename", killed)
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        LatencyTable(path, CONTEXT)
    monkeypatch.undo()
    assert path.exists()
    assert len(LatencyTable(path, CONTEXT)) > 0


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_full_disk_is_no_fault_of_the_table(path):
    with pytest.raises(OSError, match="No space left"), transaction(path) as database:
        database.executescript("PRAGMA max_page_count = 1; CREATE TABLE b (a); INSERT INTO b SELECT zeroblob(1e6)")
