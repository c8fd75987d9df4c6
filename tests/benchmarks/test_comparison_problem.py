import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks
from benchmarks.compared_rows import ComparedRows
from benchmarks.comparison_plan import KINDS, TRIED, plan
from benchmarks.comparison_problem import Problem, claim
from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError

PUBLISHED = Path(benchmarks.__path__[0]) / "results" / "accuracy_vs_latency"
PROBLEM = Problem("mobilenet_v1", 0.25, 64, "fashion_mnist", 5000, 1000, "host/cpu:1", (70, 50), 1, Settings())


def test_a_folder_belongs_to_one_problem(tmp_path):
    claim(tmp_path / "folder", PROBLEM)
    claim(tmp_path / "folder", PROBLEM)
    other = replace(PROBLEM, threads=2, settings=Settings(short_term_steps=1))
    with pytest.raises(UserError, match=r"another problem; it differs in threads, settings; .*--output"):
        claim(tmp_path / "folder", other)


def test_a_setting_that_came_later_was_as_it_is_by_default(tmp_path):
    claim(tmp_path, PROBLEM)
    path = tmp_path / "problem.json"
    earlier = json.loads(path.read_text())
    del earlier["settings"]["screen"]
    path.write_text(json.dumps(earlier))
    claim(tmp_path, PROBLEM)
    with pytest.raises(UserError, match="differs in settings"):
        claim(tmp_path, replace(PROBLEM, settings=Settings(screen=True)))


def test_the_published_rows_are_of_the_plan_and_go_on(tmp_path):
    shutil.copy(PUBLISHED / "problem.json", tmp_path)
    told = json.loads((PUBLISHED / "problem.json").read_text())
    problem = Problem(**told | {"percents": tuple(told["percents"]), "settings": Settings(**told["settings"])})
    claim(tmp_path, problem)
    rows = ComparedRows(PUBLISHED)
    assert rows.seeds()
    for seed in rows.seeds():
        assert rows.cells(seed) <= set(plan([seed], problem.percents, (*KINDS, *TRIED), doubled=True))
    assert all(len(row.right) == 10_000 for row in rows.all_rows())


def test_a_folder_that_cannot_be_made_or_read_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--output"):
        claim(tmp_path / "file" / "folder", PROBLEM)
    (tmp_path / "problem.json").write_text("{")
    with pytest.raises(UserError, match="--output"):
        claim(tmp_path, PROBLEM)


@pytest.mark.parametrize("percents", [(50, 70), (50, 50), (100, 50)])
def test_budgets_out_of_order_are_refused(percents):
    with pytest.raises(UserError, match="--percents should list latency budgets below 100, the largest first"):
        replace(PROBLEM, percents=percents)


def test_what_is_no_budget_or_no_target_is_refused():
    with pytest.raises(UserError, match="amount must be above 0"):
        replace(PROBLEM, percents=(50, 0))
    with pytest.raises(UserError, match="target"):
        replace(PROBLEM, target="host/abacus")
