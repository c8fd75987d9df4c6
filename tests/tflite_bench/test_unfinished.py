import dataclasses
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.timing import Reading
from tflite_bench.unfinished import SingleReading, Unfinished

CONTEXT = Context("host/cpu:1", {"cpu": "a"}, "warm", "median")


@pytest.fixture
def table(tmp_path) -> LatencyTable:
    return LatencyTable(tmp_path / "table.sqlite", CONTEXT)


def single(signature: str, number: int = 0, model: str = "") -> SingleReading:
    return SingleReading(signature, number, Reading(1.0, 0.5, 2.0, 7), 0.25, model)


def entry(signature: str, drift: float = 0.1) -> Entry:
    return Entry(signature, Reading(1.0, 0.5, 2.0, 7), 0.25, drift, flagged=True, measured_at=now())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def grow_old(path, hours: int) -> None:
    past = (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE unfinished_readings SET measured_at = ?", [past])
        database.execute("UPDATE unfinished_tries SET measured_at = ?", [past])


def test_readings_are_found_by_their_layers(table):
    kept = [single("a"), single("a", 1), single("b", 0, "one"), single("b", 0, "two")]
    Unfinished(table).keep([*kept, single("c")])
    assert Unfinished(table).readings({"a", "b"}) == kept


def test_readings_of_the_last_second_are_stored_when_measuring_is_cut_short(table):
    def cut_short() -> None:
        with Unfinished(table) as unfinished:
            unfinished.keep([single("a")])
            unfinished.keep([single("b")])
            assert Unfinished(table).readings({"a", "b"}) == [single("a")]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short()
    assert Unfinished(table).readings({"a", "b"}) == [single("a"), single("b")]


def test_readings_are_stored_once_in_a_second(table, monkeypatch):
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    unfinished = Unfinished(table)
    for signature in ("a", "b"):
        unfinished.keep([single(signature)])
    now_s += 1.0
    unfinished.keep([single("c")])
    assert Unfinished(table).readings({"a", "b", "c"}) == [single("a"), single("b"), single("c")]


def test_a_batch_that_is_finished_takes_only_its_own_readings_with_it(table):
    Unfinished(table).keep([single("a"), single("b")])
    Unfinished(table).keep_try(["c"], 0, [entry("c")])
    table.finish([entry("a")], ["a", "failed"])
    assert Unfinished(table).readings({"a", "b"}) == [single("b")]
    assert Unfinished(table).tries(["c"])


def test_entries_from_elsewhere_end_no_batch(table):
    Unfinished(table).keep([single("a")])
    table.add([entry("a")])
    assert Unfinished(table).readings({"a"}) == [single("a")]


@pytest.mark.parametrize(("hours", "is_there"), [(23, True), (25, False)])
def test_what_is_older_than_a_day_is_forgotten(table, hours, is_there):
    Unfinished(table).keep([single("a")])
    Unfinished(table).keep_try(["b"], 0, [entry("b")])
    grow_old(table.path, hours)
    unfinished = Unfinished(table)
    assert bool(unfinished.readings({"a"})) == bool(unfinished.tries(["b"])) == is_there


def test_a_try_stands_for_its_readings_and_belongs_to_its_batch(table):
    unfinished = Unfinished(table)
    unfinished.keep([single("a"), single("b"), single("c")])
    unfinished.keep_try(["b", "a"], 0, [entry("a", 0.2), entry("b", 0.2)])
    assert unfinished.readings({"a", "b", "c"}) == [single("c")]
    unfinished.keep_try(["a", "b"], 1, [entry("a", 0.3)])
    tries = [[dataclasses.replace(one, measured_at="") for one in entries] for entries in unfinished.tries(["a", "b"])]
    assert [[(one.signature, one.drift) for one in entries] for entries in tries] == [
        [("a", 0.2), ("b", 0.2)],
        [("a", 0.3)],
    ]
    assert unfinished.tries(["a"]) == []
    assert Unfinished(LatencyTable(table.path, dataclasses.replace(CONTEXT, caches="cold"))).tries(["a", "b"]) == []
