import dataclasses
import sqlite3

import pytest

from tflite_bench.errors import UserError
from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.timing import Reading

CONTEXT = Context("host/cpu:1", {"cpu": "a", "threads": 1}, "warm", "median")


def entry(signature: str, latency_ms: float, reference_ms: float = 0.1) -> Entry:
    return Entry(signature, Reading(latency_ms, latency_ms / 2, latency_ms * 2, 100), reference_ms)


def test_entries_survive(tmp_path):
    table = LatencyTable(tmp_path / "deep" / "table.sqlite", CONTEXT)
    table.add([entry("a", 1.0), entry("b", 2.0)])
    again = LatencyTable(tmp_path / "deep" / "table.sqlite", CONTEXT)
    assert again.latency_ms("a") == 1.0
    assert len(again) == 2
    assert "c" not in again


@pytest.mark.parametrize(
    "change", [{"target": "host/cpu:2"}, {"fingerprint": {"cpu": "b"}}, {"caches": "cold"}, {"statistic": "mean"}]
)
def test_entries_of_another_context_are_not_seen(tmp_path, change):
    path = tmp_path / "table.sqlite"
    LatencyTable(path, CONTEXT).add([entry("a", 1.0)])
    other = LatencyTable(path, dataclasses.replace(CONTEXT, **change))
    assert "a" not in other
    with pytest.raises(KeyError):
        other.latency_ms("a")


def test_a_second_reading_replaces_the_first(tmp_path):
    table = LatencyTable(tmp_path / "table.sqlite", CONTEXT)
    table.add([entry("a", 1.0)])
    table.add([entry("a", 3.0)])
    assert table.latency_ms("a") == LatencyTable(tmp_path / "table.sqlite", CONTEXT).latency_ms("a") == 3.0


def test_provenance_is_stored(tmp_path):
    path = tmp_path / "table.sqlite"
    LatencyTable(path, CONTEXT).add([entry("a", 1.0)])
    with sqlite3.connect(path) as database:
        row = database.execute(
            "SELECT target, fingerprint, caches, statistic, p5_ms, p95_ms, runs, reference_ms, measured_at "
            "FROM entries JOIN contexts ON contexts.id = context"
        ).fetchone()
    assert row[:8] == ("host/cpu:1", '{"cpu": "a", "threads": 1}', "warm", "median", 0.5, 2.0, 100, 0.1)
    assert row[8].startswith("20")


def test_reference_is_the_median_of_what_was_seen(tmp_path):
    table = LatencyTable(tmp_path / "table.sqlite", CONTEXT)
    assert table.reference_ms() is None
    table.add([entry("a", 1.0, 0.1), entry("b", 1.0, 0.2), entry("c", 1.0, 0.9)])
    assert table.reference_ms() == 0.2


def test_what_is_no_table_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("these are my notes, and they are longer than a SQLite header " * 20)
    with pytest.raises(UserError, match="--table"):
        LatencyTable(text, CONTEXT)
    assert text.read_text().startswith("these are my notes")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE people (name TEXT)")
        database.execute("PRAGMA user_version = 1")
    with pytest.raises(UserError, match="no latency table"):
        LatencyTable(other, CONTEXT)


def test_flagged_entries_are_missing_where_that_is_asked_for(tmp_path):
    path = tmp_path / "table.sqlite"
    flagged = dataclasses.replace(entry("a", 1.0), drift=0.04, flagged=True)
    LatencyTable(path, CONTEXT).add([flagged, entry("b", 2.0)])
    assert LatencyTable(path, CONTEXT).signatures() == ["a", "b"]
    again = LatencyTable(path, CONTEXT, without_flagged=True)
    assert again.signatures() == ["b"]
    again.add([flagged])
    assert again.latency_ms("a") == 1.0
