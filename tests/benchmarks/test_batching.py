import pytest

from benchmarks.batching import COLUMNS, run_rounds, summary


def test_a_batch_takes_three_calls_and_a_finished_round_is_not_run_again(tmp_path):
    path = tmp_path / "android_batch.csv"
    rows = run_rounds(path, models=4, rounds=1)
    assert [(row["way"], row["adb_calls"]) for row in rows] == [("batched", "3"), ("one by one", "12")]
    assert all(0 < float(row["tool_s"]) < float(row["wall_s"]) for row in rows)
    assert run_rounds(path, models=4, rounds=1) == rows


def test_ways_are_compared_round_by_round():
    values = [("0", "batched", "9", "3", "2", "1", "1"), ("0", "one by one", "9", "27", "9", "1", "8")]
    values += [("1", "batched", "9", "3", "3", "1", "2"), ("1", "one by one", "9", "27", "9", "1", "8")]
    text = summary([dict(zip(COLUMNS, row, strict=True)) for row in values])
    assert "one by one / batched: 6.0 (4.0 to 8.0)" in text


@pytest.mark.slow
def test_a_batch_wastes_a_fraction_of_what_single_sessions_do(tmp_path):
    rows = run_rounds(tmp_path / "android_batch.csv", models=60, rounds=2)
    outside_s = {
        way: sum(float(row["outside_s"]) for row in rows if row["way"] == way) for way in ("batched", "one by one")
    }
    assert outside_s["one by one"] > 2 * outside_s["batched"]
