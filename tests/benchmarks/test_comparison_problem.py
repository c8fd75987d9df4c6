import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import benchmarks
from benchmarks.claimed_folder import claim
from benchmarks.compared_rows import ComparedRows
from benchmarks.comparison_plan import KINDS, TRIED, plan
from benchmarks.comparison_problem import Problem
from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError

PUBLISHED = Path(benchmarks.__path__[0]) / "results" / "accuracy_vs_latency"
PROBLEM = Problem("mobilenet_v1", 0.25, 64, "fashion_mnist", 5000, 1000, "host/cpu:1", (70, 50), 1, Settings())


def test_the_published_rows_are_of_the_plan_and_go_on(tmp_path):
    shutil.copy(PUBLISHED / "problem.json", tmp_path)
    told = json.loads((PUBLISHED / "problem.json").read_text())
    problem = Problem(**told | {"percents": tuple(told["percents"]), "settings": Settings(**told["settings"])})
    claim(tmp_path, asdict(problem))
    rows = ComparedRows(PUBLISHED)
    assert rows.seeds()
    for seed in rows.seeds():
        assert rows.cells(seed) <= set(plan([seed], problem.percents, (*KINDS, *TRIED), doubled=True))
    assert all(len(row.right) == 10_000 for row in rows.all_rows())


@pytest.mark.parametrize("percents", [(50, 70), (50, 50), (100, 50)])
def test_budgets_out_of_order_are_refused(percents):
    with pytest.raises(UserError, match="--percents should list latency budgets below 100, the largest first"):
        replace(PROBLEM, percents=percents)


def test_what_is_no_budget_or_no_target_is_refused():
    with pytest.raises(UserError, match="amount must be above 0"):
        replace(PROBLEM, percents=(50, 0))
    with pytest.raises(UserError, match="target"):
        replace(PROBLEM, target="host/abacus")
