import subprocess
import sys

import numpy as np

from benchmarks.compared_rows import Cell, ComparedRow, ComparedRows

CELL = Cell(3, 50, "multiplier for the whole compute")


def row(cell: Cell, right: np.ndarray, steps: int = 10) -> ComparedRow:
    return ComparedRow(cell, {"a": 8, "b": 16}, right, steps, 7, 1.5, 0.5)


def test_a_row_comes_back_as_it_was(tmp_path):
    right = np.random.default_rng(0).random(1003) < 0.8
    ComparedRows(tmp_path).add(row(CELL, right))
    rows = ComparedRows(tmp_path)
    kept = rows.get(CELL)
    assert kept is not None
    np.testing.assert_array_equal(kept.right, right)
    assert kept.accuracy == right.mean()
    assert (kept.cell, kept.widths) == (CELL, {"a": 8, "b": 16})
    assert (kept.all_steps, kept.all_minutes) == (17, 2.0)
    assert rows.cells(3) == {CELL}
    assert rows.cells(4) == set()
    assert rows.get(CELL._replace(percent=70)) is None


def test_rows_of_a_seed_stand_in_its_own_file(tmp_path):
    rows, right = ComparedRows(tmp_path), np.ones(8, bool)
    cells = [CELL, CELL._replace(seed=11), CELL._replace(kind="netadapt")]
    for cell in cells:
        rows.add(row(cell, right))
    assert rows.seeds() == [3, 11]
    assert [kept.cell for kept in rows.all_rows()] == [cells[0], cells[2], cells[1]]


def test_of_a_row_that_was_done_twice_the_newest_counts(tmp_path):
    rows = ComparedRows(tmp_path)
    rows.add(row(CELL, np.zeros(8, bool), steps=1))
    rows.add(row(CELL, np.ones(8, bool), steps=2))
    assert [kept.steps for kept in rows.all_rows()] == [2]
    assert rows.all_rows()[0].accuracy == 1.0


def test_a_row_that_another_process_is_writing_does_not_count_yet(tmp_path):
    rows = ComparedRows(tmp_path)
    rows.add(row(CELL, np.ones(8, bool)))
    path = tmp_path / "rows_3.csv"
    whole = path.read_text()
    path.write_text(whole + '70,"netad')
    assert rows.cells(3) == {CELL}
    assert path.read_text() == whole + '70,"netad', "reading has changed the file under its writer"


def test_one_process_at_a_time_has_a_seed(tmp_path):
    program = (
        "import sys; from pathlib import Path; from benchmarks.compared_rows import ComparedRows\n"
        "with ComparedRows(Path(sys.argv[1])).claimed(int(sys.argv[2])) as mine: print(mine)"
    )

    def another_has(seed: int) -> str:
        command = [sys.executable, "-c", program, str(tmp_path), str(seed)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with ComparedRows(tmp_path).claimed(1) as mine:
        assert mine
        assert another_has(1) == "False"
        assert another_has(2) == "True"
    assert another_has(1) == "True"
