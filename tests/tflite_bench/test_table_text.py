import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tflite_bench.errors import UserError
from tflite_bench.latency_table import Context, Entry, LatencyTable, stored_contexts, stored_kinds
from tflite_bench.table_text import export_tables, import_tables
from tflite_bench.timing import Reading

PHONE = Context("android/cpu:1", {"model": "Google Pixel 3", "core_mhz": "1766 2803", "threads": 1}, "warm", "median")
HOST = Context("host/cpu:1", {"cpu": "a"}, "cold", "mean")
NEW, OLD = "2026-11-24T10:00:00+00:00", "2025-01-01T00:00:00+00:00"
CONVOLUTION = "CONV_2D float32[1,8,8,3] float32*[4,3,3,3] -> float32[1,8,8,4] padding=SAME"


def entry(signature: str, latency_ms: float = 1.0, measured_at: str = NEW) -> Entry:
    return Entry(signature, Reading(latency_ms, latency_ms / 3, latency_ms * 3, 150), 0.62, 0.011, True, measured_at)


def exported(folder: Path) -> Path:
    path = folder / "table.csv"
    export_tables([(PHONE, [entry(CONVOLUTION, 0.41), entry("ADD", 0.1)]), (HOST, [entry("MEAN", 2.0)])], path)
    return path


def entries(table: Path, context: Context) -> list[Entry]:
    return LatencyTable(table, context).entries()


def is_untouched(table: Path) -> bool:
    return not table.exists() or stored_kinds(table) == []


def test_entries_and_contexts_arrive_as_they_left(tmp_path):
    table = tmp_path / "table.sqlite"
    assert import_tables(exported(tmp_path), table) == [(PHONE, 2), (HOST, 1)]
    assert stored_contexts(table, "android/cpu:1") == [PHONE]
    assert stored_contexts(table, "host/cpu:1") == [HOST]
    assert entries(table, PHONE) == [entry("ADD", 0.1), entry(CONVOLUTION, 0.41)]
    assert entries(table, HOST) == [entry("MEAN", 2.0)]


def test_a_second_import_takes_nothing_over(tmp_path):
    table = tmp_path / "table.sqlite"
    import_tables(exported(tmp_path), table)
    assert import_tables(exported(tmp_path), table) == [(PHONE, 0), (HOST, 0)]
    assert len(entries(table, PHONE)) == 2


def test_nothing_is_left_beside_the_file_and_an_old_one_is_replaced(tmp_path):
    (tmp_path / "table.csv").write_text("old")
    assert exported(tmp_path).read_text().startswith("# netadapt_tf latency table, format 1\n# target: android/cpu:1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_an_export_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("old")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        exported(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("table.csv", "old")]


def test_line_ends_of_another_system_change_nothing(tmp_path):
    path = exported(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert import_tables(path, tmp_path / "table.sqlite") == [(PHONE, 2), (HOST, 1)]


@pytest.mark.parametrize(("there", "brought", "stays"), [(NEW, OLD, 1.0), (OLD, NEW, 2.0), (NEW, NEW, 1.0)])
def test_the_newer_entry_stays(tmp_path, there, brought, stays):
    table, text = tmp_path / "table.sqlite", tmp_path / "table.csv"
    LatencyTable(table, PHONE).add([entry("ADD", 1.0, there), entry("MUL", 7.0, OLD)])
    export_tables([(PHONE, [entry("ADD", 2.0, brought), entry("SUB", 3.0)])], text)
    [(_, count)] = import_tables(text, table)
    assert count == (2 if stays == 2.0 else 1)
    assert {one.signature: one.reading.latency_ms for one in entries(table, PHONE)} == {
        "ADD": stays,
        "MUL": 7.0,
        "SUB": 3.0,
    }


def test_newer_is_a_matter_of_time_not_of_its_zone(tmp_path):
    table, text = tmp_path / "table.sqlite", tmp_path / "table.csv"
    LatencyTable(table, PHONE).add([entry("ADD", 1.0, "2026-11-24T10:00:00+00:00")])
    export_tables([(PHONE, [entry("ADD", 2.0, "2026-11-24T11:00:00+05:00")])], text)
    assert import_tables(text, table) == [(PHONE, 0)]


TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
MS = st.floats(0, 1e9)
ENTRIES = st.lists(
    st.builds(
        Entry,
        signature=TEXTS,
        reading=st.builds(Reading, MS, MS, MS, st.integers(1, 10**6)),
        reference_ms=MS,
        drift=MS,
        flagged=st.booleans(),
        measured_at=st.just(NEW),
    ),
    unique_by=lambda one: one.signature,
    max_size=5,
)
FINGERPRINTS = st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(-(2**40), 2**40)), max_size=4)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ENTRIES, FINGERPRINTS)
def test_odd_signatures_and_fingerprints_survive(tmp_path, odd, fingerprint):
    context = Context("android/gpu", fingerprint, "warm", "median")
    text, table = tmp_path / "odd.csv", tmp_path / "odd.sqlite"
    table.unlink(missing_ok=True)
    export_tables([(context, odd), (HOST, [entry("MEAN")])], text)
    assert import_tables(text, table) == [(context, len(odd)), (HOST, 1)]
    assert entries(table, context) == sorted(odd, key=lambda one: one.signature.encode())


def damaged(content: str, old: str, new: str) -> str:
    assert content.count(old) == 1
    return content.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# netadapt_tf latency table, format 1\n# target: android", "signature\n# target: android", "first line"),
        ("table, format 1\n# target: android", "table, format 2\n# target: android", "first line"),
        ("# target: android/cpu:1", "# device: android/cpu:1", r"line 2 should begin with '# target: '"),
        ("# statistic: median\n", "", r"line 5 should begin with '# statistic: '"),
        ("# caches: cold\n", "", r"line 12 should begin with '# caches: '"),
        (",0.41,", ",", "line 7"),
        (",0.41,", ",0.41,0.41,", "line 7"),
        (",0.41,", ",nan,", "line 7.*finite"),
        (",0.41,", ",inf,", "line 7.*finite"),
        (",0.41,", ",-0.41,", "line 7.*not negative"),
        (",0.41,", ",fast,", "line 7.*fast"),
        (",0.41,", ",,", "line 7"),
        ('"ADD",0.1,', '"ADD",0x1,', "line 8.*0x1"),
        ("2.0,0.6666666666666666,6.0,150,", "2.0,0.6666666666666666,6.0,many,", "line 15.*many"),
        ("2.0,0.6666666666666666,6.0,150,", "2.0,0.6666666666666666,6.0,-1,", "line 15"),
        ("2.0,0.6666666666666666,6.0,150,", "2.0,0.6666666666666666,6.0,99999999999999999999,", "line 15"),
        (
            '"MEAN",2.0,0.6666666666666666,6.0,150,0.62,0.011,1,',
            '"MEAN",2.0,0.6,6.0,150,0.62,0.011,2,',
            "line 15.*flagged",
        ),
        ('{"cpu": "a"}', '{"cpu": "a"', "line 11: the fingerprint"),
        ('{"cpu": "a"}', '["cpu"]', "line 11: the fingerprint"),
        ('{"cpu": "a"}', "[" * 100_000, "line 11: the fingerprint"),
        ('"MEAN"', "M" * 200_000, "line 15"),
    ],
)
def test_a_damaged_text_is_refused_and_nothing_is_taken_over(tmp_path, old, new, words):
    text, table = exported(tmp_path), tmp_path / "table.sqlite"
    text.write_text(damaged(text.read_text(), old, new))
    with pytest.raises(UserError, match=f"table.csv is no exported latency table: .*({words})"):
        import_tables(text, table)
    assert is_untouched(table)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b"# netadapt_tf latency table, format 1\n"])
def test_what_is_no_text_of_a_table_is_refused(tmp_path, content):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match="is no exported latency table"):
        import_tables(tmp_path / "table.csv", tmp_path / "table.sqlite")
    assert is_untouched(tmp_path / "table.sqlite")


@pytest.mark.parametrize(
    ("old", "new", "left_out", "taken"),
    [
        (b"MEAN", b"ME\xe4N", "line 15", [(PHONE, 2), (HOST, 0)]),
        (b'"ADD",0.1', b'"ADD",0\xff1', "line 8", [(PHONE, 1), (HOST, 1)]),
        (b'"ADD",0.1', b'"ADD"\xff0.1', "line 8", [(PHONE, 1), (HOST, 1)]),
        (b'"ADD",0.1', b'"ADD\xff,0.1', "line 8", [(PHONE, 1), (HOST, 1)]),
        (b'"CONV_2D', b"\x80CONV_2D", "line 7", [(PHONE, 1), (HOST, 1)]),
        (b'padding=SAME"', b"padding=SAME\xff", "line 7", [(PHONE, 1), (HOST, 1)]),
        (b'"\n"ADD"', b'\xff\n"ADD"', "lines 7 to 8", [(PHONE, 0), (HOST, 1)]),
        (b'{"cpu": "a"}', b'{"cpu": "\xff"}', "lines 9 to 15", [(PHONE, 2)]),
        (b"# caches: warm", b"# caches: w\xe4rm", "lines 1 to 8", [(HOST, 1)]),
        (b"# target: host/cpu:1\n", b"# target: host/cpu:1\xff", "lines 9 to 14", [(PHONE, 2)]),
    ],
)
def test_lines_that_cannot_be_decoded_are_named_and_the_rest_is_taken_over(tmp_path, caplog, old, new, left_out, taken):
    text, table = exported(tmp_path), tmp_path / "table.sqlite"
    damaged_bytes = text.read_bytes().replace(old, new)
    assert damaged_bytes != text.read_bytes()
    text.write_bytes(damaged_bytes)
    assert import_tables(text, table) == taken
    assert f"table.csv holds bytes that are no text: left out are {left_out}; the rest" in caplog.text
    assert text.read_bytes() == damaged_bytes
    stored = {PHONE.target: 0, HOST.target: 0} | {context.target: count for context, count in taken}
    assert [len(entries(table, context)) for context in (PHONE, HOST)] == list(stored.values())


@pytest.mark.parametrize(
    ("olds", "words"),
    [
        ([b"# target: android", b"# target: host"], "lines 1 to 8: a heading"),
        ([b"1\n# target: host"], "line 9: a heading"),
        ([b"\n# target: android"], "first line"),
    ],
)
def test_without_a_heading_that_can_be_decoded_a_text_is_refused(tmp_path, olds, words):
    text, table = exported(tmp_path), tmp_path / "table.sqlite"
    for old in olds:
        text.write_bytes(text.read_bytes().replace(old, b"\xff" + old))
    with pytest.raises(UserError, match=f"table.csv is no exported latency table: .*{words}"):
        import_tables(text, table)
    assert is_untouched(table)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_text_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(UserError, match="cannot be read"):
        import_tables(tmp_path / name, tmp_path / "table.sqlite")


def test_a_text_that_is_cut_within_a_line_is_refused_and_the_line_named(tmp_path):
    text, table = exported(tmp_path), tmp_path / "table.sqlite"
    content = text.read_text()
    last_line = content.rstrip("\n").rindex("\n") + 1
    for length in range(last_line + 1, len(content) - 1):
        text.write_text(content[:length])
        with pytest.raises(UserError, match="line 15"):
            import_tables(text, table)
    assert is_untouched(table)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data(), st.one_of(st.text(max_size=20), st.sampled_from(['"', ",", "\n", "\r", "\0", "\u2028", "\x1c"])))
def test_no_text_is_a_defect(tmp_path, data, shred):
    text, table = exported(tmp_path), tmp_path / "table.sqlite"
    content = text.read_text()
    begin, end = sorted(data.draw(st.lists(st.integers(0, len(content)), min_size=2, max_size=2)))
    try:
        text.write_text(content[:begin] + shred + content[end:])
    except UnicodeEncodeError:
        return
    try:
        import_tables(text, table)
    except UserError:
        assert is_untouched(table)
    table.unlink(missing_ok=True)


def test_a_table_of_the_older_format_is_brought_up_to_date_and_keeps_its_entries(tmp_path):
    path = tmp_path / "table.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE contexts (
                id INTEGER PRIMARY KEY,
                target TEXT NOT NULL, fingerprint TEXT NOT NULL, caches TEXT NOT NULL, statistic TEXT NOT NULL,
                UNIQUE (target, fingerprint, caches, statistic)
            );
            CREATE TABLE entries (
                context INTEGER NOT NULL REFERENCES contexts (id),
                signature TEXT NOT NULL,
                latency_ms REAL NOT NULL, p5_ms REAL NOT NULL, p95_ms REAL NOT NULL, runs INTEGER NOT NULL,
                reference_ms REAL NOT NULL, measured_at TEXT NOT NULL,
                PRIMARY KEY (context, signature)
            ) WITHOUT ROWID;
            PRAGMA user_version = 1;
            """
        )
        database.execute("INSERT INTO contexts VALUES (1, ?, ?, ?, ?)", HOST.key())
        database.execute("INSERT INTO entries VALUES (1, 'ADD', 2.0, 1.0, 3.0, 40, 0.1, ?)", [OLD])
    old = Entry("ADD", Reading(2.0, 1.0, 3.0, 40), 0.1, measured_at=OLD)
    assert entries(path, HOST) == [old]
    LatencyTable(path, HOST).add([entry("MUL", 5.0)])
    assert entries(path, HOST) == [old, entry("MUL", 5.0)]
    export_tables([(HOST, entries(path, HOST))], tmp_path / "table.csv")
    assert import_tables(tmp_path / "table.csv", tmp_path / "other.sqlite") == [(HOST, 2)]
    assert entries(tmp_path / "other.sqlite", HOST) == [old, entry("MUL", 5.0)]
