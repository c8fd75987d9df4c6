import dataclasses

from benchmarks.compared_rows import Cell
from benchmarks.comparison_plan import (
    CUT_AT_ONCE,
    DOUBLED,
    KINDS,
    MULTIPLIER_WHOLE,
    NETADAPT,
    SEARCHED_AGAIN,
    SEARCHED_OTHERWISE,
    START,
    TRIED,
    UNIFORM,
    plan,
)
from netadapt_tf.settings import Settings


def test_every_kind_has_a_row_at_every_budget_and_seed():
    cells = plan([0, 1], [70, 50], [*KINDS, *TRIED], doubled=False)
    assert len(set(cells)) == len(cells)
    for kind in (*KINDS, *TRIED):
        found = {(cell.seed, cell.percent) for cell in cells if cell.kind == kind}
        at = {100} if kind == START else {70, 50} | ({100} if kind.startswith("multiplier") else set())
        assert found == {(seed, percent) for seed in (0, 1) for percent in at}, kind


def test_what_is_only_tried_comes_last_where_it_is_asked_for():
    cells = plan([0, 1], [70, 50, 35], [NETADAPT, *SEARCHED_OTHERWISE, *CUT_AT_ONCE], doubled=False)
    tried = [cell for cell in cells if cell.kind != NETADAPT]
    assert {cell.kind for cell in tried} == {*SEARCHED_OTHERWISE, *CUT_AT_ONCE}
    assert cells[-len(tried) :] == tried
    alike = [kind for kind, of in SEARCHED_OTHERWISE.items() if dataclasses.replace(Settings(), **of) == Settings()]
    assert alike == [SEARCHED_AGAIN]


def test_what_decides_comes_first_for_all_seeds():
    cells = plan([0, 1], [70, 50, 35], KINDS, doubled=True)
    first = cells.index(Cell(0, 70, "multiplier"))
    deciding = [Cell(seed, 35, kind) for seed in (0, 1) for kind in (NETADAPT, MULTIPLIER_WHOLE, UNIFORM)]
    assert all(cells.index(cell) < first for cell in deciding)
    budgets = [cell.percent for cell in cells if cell.kind == NETADAPT and cell.seed == 0]
    assert budgets == [70, 50, 35], "a search goes on to lower budgets only"


def test_one_row_of_each_kind_is_doubled_at_last():
    cells = plan([4, 5], [70, 50, 35], [START, UNIFORM], doubled=True)
    assert cells[-2:] == [(4, 100, START + DOUBLED), (4, 50, UNIFORM + DOUBLED)]
    assert plan([4, 5], [70, 50, 35], [START, UNIFORM], doubled=False) == cells[:-2]
