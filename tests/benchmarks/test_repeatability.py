import math

import pytest

from benchmarks.repeatability import compare_tables, difference
from tflite_bench.errors import UserError
from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.timing import Reading


def table(path, latencies_ms) -> LatencyTable:
    result = LatencyTable(path, Context("host/cpu:1", {}, "", ""))
    result.add([Entry(name, Reading(ms, ms, ms, 1), 1.0) for name, ms in latencies_ms.items()])
    return result


def test_difference_is_relative_to_the_first():
    assert difference(2.0, 2.1) == pytest.approx(0.05)
    assert difference(0.0, 0.0) == 0.0
    assert difference(0.0, 1.0) == math.inf


def test_tables_are_compared_entry_by_entry(tmp_path):
    first = table(tmp_path / "first", {"a": 1.0, "b": 2.0, "c": 4.0, "only here": 1.0})
    second = table(tmp_path / "second", {"a": 1.01, "b": 1.9, "c": 4.0})
    text = compare_tables(first, second, tmp_path / "compared.csv")
    assert text.startswith("3 entries, 0 minutes")
    assert "median difference 1.00%" in text
    assert "largest 5.0%" in text
    assert (tmp_path / "compared.csv").read_text().splitlines()[2] == "b,2,1.9,-0.05"


def test_tables_with_nothing_in_common_are_refused(tmp_path):
    with pytest.raises(UserError, match="in common"):
        compare_tables(table(tmp_path / "first", {"a": 1.0}), table(tmp_path / "second", {}), tmp_path / "compared.csv")
