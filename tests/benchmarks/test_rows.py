import pytest

from benchmarks.rows import RowFile
from tflite_bench.errors import UserError


def test_rows_are_there_the_moment_they_are_added(tmp_path):
    RowFile(tmp_path / "folder" / "rows.csv", ["name", "latency_ms"]).add({"name": "a, b", "latency_ms": 1 / 3})
    again = RowFile(tmp_path / "folder" / "rows.csv", ["name", "latency_ms"])
    again.add({"name": "c", "latency_ms": 2.0})
    assert [row["name"] for row in again.rows] == ["a, b", "c"]
    assert float(again.rows[0]["latency_ms"]) == pytest.approx(1 / 3, rel=1e-5)


def test_a_row_that_was_cut_off_counts_as_missing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("name,latency_ms\na,1.0\nb")
    file = RowFile(path, ["name", "latency_ms"])
    assert [row["name"] for row in file.rows] == ["a"]
    file.add({"name": "b", "latency_ms": 2.0})
    assert [row["name"] for row in RowFile(path, ["name", "latency_ms"]).rows] == ["a", "b"]


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("other,columns\n")
    with pytest.raises(UserError, match="--output"):
        RowFile(tmp_path / "rows.csv", ["name", "latency_ms"])


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output"):
        RowFile(tmp_path / "file" / "rows.csv", ["name"])
