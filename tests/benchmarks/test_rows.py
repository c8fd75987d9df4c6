import numpy as np

from benchmarks.rows import Row, Rows


def test_finished_rows_are_found_again(tmp_path):
    right = np.arange(13) % 3 == 0
    row = Row("multiplier, whole compute", 0.875, 1234, 5.25, {"conv1": 8, "conv_pw_1": 16})
    Rows(tmp_path / "out").add(row, right)
    Rows(tmp_path / "out").add(Row("start", 0.9, 1, 1.0, {}), ~right)
    again = Rows(tmp_path / "out")
    assert list(again) == [row, Row("start", 0.9, 1, 1.0, {})]
    assert again["multiplier, whole compute"] == row
    assert "uniform" not in again
    np.testing.assert_array_equal(again.right(row.name, 13), right)
