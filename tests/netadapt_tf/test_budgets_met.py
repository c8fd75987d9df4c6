"""Budgets: several at once, on several targets, and judged by what is delivered."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from netadapt_tf import Settings, UserError, adapt_network, adaptation
from netadapt_tf.delivery import Delivery
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.problem import Problem
from netadapt_tf.reporting.summary import Delivered, closing_table
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.iterate import Iterate
from netadapt_tf.search.journal import Journal
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.task import classification
from netadapt_tf.work import Work
from tests.fake_meter import FakeMeter
from tests.tiny_adaptation import QUICK, FakeMeters, corner_datasets, interrupted_at
from tests.tiny_networks import tiny_cnn
from tflite_bench.target import parse_target

HERE = parse_target("host/cpu:1")
TWO = ["macs=60%", "tflite_bytes=80%"]


@pytest.fixture(scope="module")
def adapted_to_two(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("two") / "run"
    return adapt_network(tiny_cnn(), corner_datasets(), TWO, run_dir, settings=QUICK)


def iterations_of(run_dir) -> list[dict]:
    return list(Journal(run_dir / "journal.jsonl").events("iteration"))


@pytest.mark.slow
def test_two_budgets_are_both_met_by_what_is_delivered(adapted_to_two):
    macs, size = adapted_to_two.budgets
    assert [macs.budget, size.budget] == TWO
    assert macs.met
    assert size.met
    summary = adapted_to_two.summary
    assert macs.reached == summary["macs"]["after"] <= 0.6 * summary["macs"]["before"]
    start = adapted_to_two.tflite_path.with_name("start.tflite").stat().st_size
    assert size.reached == adapted_to_two.tflite_path.stat().st_size <= 0.8 * start
    assert list(summary["latency_ms"]) == list(summary["target"]) == ["host/cpu:1"]
    text = closing_table(summary, adapted_to_two.tflite_path.parent)
    assert all(f"budget {budget}: met; at most" in text for budget in TWO)
    again = adapt_network(tiny_cnn(), corner_datasets(), TWO[::-1], adapted_to_two.tflite_path.parent, settings=QUICK)
    assert again.summary == summary


def test_a_budget_once_met_is_never_broken(adapted_to_two):
    before, *records = iterations_of(adapted_to_two.tflite_path.parent)
    limits = {"macs": 0.6 * before["measured"]["macs"], "tflite_bytes": 0.8 * before["measured"]["tflite_bytes"]}
    worked_for = {name for record in records for name in record["constraint"]}
    assert len(worked_for) == 2, "the case was not met with"
    for record in records:
        for name, limit in limits.items():
            assert before["measured"][name] > limit or record["measured"][name] <= limit
        before = record


def test_the_journal_knows_what_every_iteration_costs(adapted_to_two):
    records = iterations_of(adapted_to_two.tflite_path.parent)
    summary = adapted_to_two.summary
    for record, when in ((records[0], "before"), (records[-1], "after")):
        for name in ("macs", "parameters"):
            assert record[name] == summary[name][when]
        assert record["tflite_bytes"] == pytest.approx(summary["tflite_bytes"][when], rel=0.05)
        assert record["measured"] == {"macs": record["macs"], "tflite_bytes": record["tflite_bytes"]}


@pytest.mark.slow
def test_with_two_budgets_the_same_call_goes_on_and_lower_ones_do(tmp_path, adapted_to_two, monkeypatch):
    run_dir = tmp_path / "run"
    with interrupted_at(4, monkeypatch):
        adapt_network(tiny_cnn(), corner_datasets(), TWO, run_dir, settings=QUICK)
    result = adapt_network(tiny_cnn(), corner_datasets(), TWO, run_dir, settings=QUICK)
    whole = iterations_of(adapted_to_two.tflite_path.parent)
    parts = iterations_of(run_dir)
    for record in [*whole, *parts]:
        del record["wall_s"]
    assert parts == whole
    assert result.widths == adapted_to_two.widths
    lower = adapt_network(tiny_cnn(), corner_datasets(), [TWO[0], "tflite_bytes=75%"], run_dir, settings=QUICK)
    assert all(budget.met for budget in lower.budgets)
    assert lower.summary["iterations"] > result.summary["iterations"]
    with pytest.raises(UserError, match="only the same ones"):
        adapt_network(tiny_cnn(), corner_datasets(), ["macs=50%"], run_dir, settings=QUICK)


def test_latency_on_two_targets_is_measured_on_each(tmp_path, monkeypatch):
    class Slower(FakeMeter):
        """A target where everything takes twice as long."""

        def fingerprint(self):
            return {"cpu": "slower"}

        def compare(self, pair):
            compared = super().compare(pair)
            return dataclasses.replace(compared, first_ms=2 * compared.first_ms, second_ms=2 * compared.second_ms)

    class TwoMeters(FakeMeters):
        def __init__(self, benchmark_models=()):
            opened_with.append(benchmark_models)

        def of(self, target):
            return Slower() if target.threads == 2 else FakeMeter()

    opened_with: list[tuple[str, ...]] = []
    monkeypatch.setattr("netadapt_tf.problem.Meters", TwoMeters)
    budgets = ["latency@host/cpu:2=80%", "latency@host/cpu:1=75%"]
    result = adapt_network(
        tiny_cnn(), corner_datasets(), budgets, tmp_path / "run", settings=QUICK, benchmark_models=["arm64-v8a:here"]
    )
    assert opened_with == [("arm64-v8a:here",)]
    assert all(budget.met for budget in result.budgets)
    summary = result.summary
    assert {place: fingerprint["cpu"] for place, fingerprint in summary["target"].items()} == {
        "host/cpu:2": "slower",
        "host/cpu:1": "imagined",
    }
    both = summary["latency_ms"]
    for when in ("before", "after", "predicted_after"):
        assert both["host/cpu:2"][when] == pytest.approx(2 * both["host/cpu:1"][when], rel=0.05)
    for record in iterations_of(tmp_path / "run"):
        assert record["predicted"].keys() == record["measured"].keys() == record["spread"].keys()
        assert set(record["measured"]) == {"latency@host/cpu:1", "latency@host/cpu:2"}
        ratio = record["measured"]["latency@host/cpu:2"] / record["measured"]["latency@host/cpu:1"]
        assert ratio == pytest.approx(2.0), "one target's budget was measured on the other"


def searched(
    monkeypatch, delivered: list[float], reachable: float = 0.0, budget_text: str = "60%", iterations: int = 1
) -> list[float]:
    """The limits that searches are given for a start that costs 100, when the delivered files cost `delivered`."""
    asked = [f"latency@host/cpu:1={budget_text}", "macs=50%"]
    limits, limits_of_macs = zip(*searched_for(monkeypatch, asked, delivered, reachable, iterations), strict=True)
    assert set(limits_of_macs) == {50.0}
    return list(limits)


def searched_for(
    monkeypatch,
    budget_texts: list[str],
    delivered_ms: list[float],
    reachable_ms: float = 0.0,
    iterations: int = 1,
    delivered_macs: int = 40,
) -> list[list[float]]:
    """The limits, by budget, that searches are given for a start that costs 100 of everything."""
    limits: list[list[float]] = []
    budgets = parse_budgets(budget_texts)

    class FakeSearch:
        def __init__(self, goals, *_):
            self._goals = goals
            limits.append([goal.limit for goal in goals])

        def run(self, start):
            costs = {
                goal.name: Measurement(100.0, max(reachable_ms if "ms" in goal.resource.unit else 0, 0.99 * goal.limit))
                for goal in self._goals
            }
            return Iterate(iterations * len(limits), nothing, nothing, 0.5, costs)

    costs_ms = iter(delivered_ms)
    nothing: Any = None
    monkeypatch.setattr(adaptation, "Search", FakeSearch)
    beginning = Iterate(0, nothing, nothing, 0.9, {budget.name: Measurement(100.0, 100.0) for budget in budgets})
    monkeypatch.setattr(adaptation, "measured_start", lambda *_: beginning)
    monkeypatch.setattr(adaptation, "last_stage", lambda *_: None)

    def delivered(*_):
        after = Delivered(0, delivered_macs, 0, {HERE: next(costs_ms)})
        return Delivery(nothing, nothing, b"", Delivered(0, 100, 0, {HERE: 100.0}), after)

    monkeypatch.setattr(adaptation, "delivery", delivered)
    problem = Problem(
        tiny_cnn(), find_channels(tiny_cnn()), nothing, classification(tiny_cnn()), budgets, Settings(), nothing
    )
    work = Work(problem, nothing, Stopwatch())
    start: Any = SimpleNamespace(widths={}, deployed=None)
    resources = {budget.name: SimpleNamespace(unit="ms" if budget.target else "MACs") for budget in budgets}
    adaptation._adapt_within_budgets(work, start, SimpleNamespace(budgeted=resources, latency=None, counted=None))  # type: ignore[arg-type]
    return limits


def test_the_delivered_file_has_the_last_word(monkeypatch):
    assert searched(monkeypatch, [59.0]) == [60.0]
    assert searched(monkeypatch, [63.0, 60.0]) == pytest.approx([60.0, 60 * 60 / 63])


def test_the_delivered_file_has_the_last_word_for_every_budget(monkeypatch):
    asked = ["latency@host/cpu:1=60%", "macs=30%"]
    limits = searched_for(monkeypatch, asked, [59.0, 63.0, 59.0], delivered_macs=30)
    assert limits == [[60.0, 30.0]], "nothing was missed"
    limits = searched_for(monkeypatch, asked, [63.0, 59.0], delivered_macs=30)
    assert limits == [[60.0, 30.0], [pytest.approx(60 * 60 / 63), 30.0]]
    limits = searched_for(monkeypatch, ["macs=30%", "latency@host/cpu:1=60%"], [63.0, 59.0], delivered_macs=30)
    assert limits == [[30.0, 60.0], [30.0, pytest.approx(60 * 60 / 63)]]


def test_a_file_over_budget_by_a_hair_is_cut_once_more(monkeypatch):
    limits = searched(monkeypatch, [60.001, 59.9])
    assert limits[1] < 0.99 * limits[0], "what was found would meet the new limit, and nothing would be done"


def test_where_nothing_more_can_be_saved_it_ends(monkeypatch):
    assert searched(monkeypatch, [80.0], reachable=75.0) == [60.0]


def test_a_start_that_turns_out_slower_than_an_absolute_budget_is_cut_after_all(monkeypatch):
    assert len(searched(monkeypatch, [100.2, 99.0], budget_text="100ms", iterations=0)) == 2


@pytest.mark.slow
def test_a_start_within_budget_is_delivered_as_it_is(tmp_path):
    result = adapt_network(tiny_cnn(), corner_datasets(), ["latency@host/cpu:1=100%"], tmp_path / "run", settings=QUICK)
    assert result.summary["iterations"] == 0
    assert result.budgets[0].met
    assert result.tflite_path.read_bytes() == (tmp_path / "run" / "start.tflite").read_bytes()
