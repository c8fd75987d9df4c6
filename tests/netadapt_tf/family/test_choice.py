"""Which networks of a search are delivered: by budget, and along the curve."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from netadapt_tf import AdaptedNetwork, Metric, UserError, delivery, members
from netadapt_tf.reporting.family import family_table
from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.search.journal import Journal
from tests.fake_meter import FakeMeter
from tests.netadapt_tf.family.family_runs import (
    BUDGET,
    adapt,
    deliver,
    records,
)
from tests.tiny_adaptation import FakeMeters
from tflite_bench.timing import Pair


@pytest.mark.slow
def test_the_largest_network_within_a_budget_is_delivered(run_dir):
    start, *later = records(run_dir)
    name = "latency@host/cpu:1"
    wanted = later[1]
    limit = (wanted["measured"][name] + wanted["spread"][name]) / start["measured"][name]
    budget = f"{name}={100 * limit + 0.01:.4f}%"
    assert later[0]["measured"][name] > limit * start["measured"][name], "the case was not met with"
    (member,) = deliver(run_dir, budgets=[budget])
    (row,) = member.budgets
    assert (member.summary["iterations"], row.budget, row.met) == (2, budget, True)
    counted = ["macs=80%", "tflite_bytes=1MB"]
    (both,) = deliver(run_dir, budgets=counted)
    first = next(r["iteration"] for r in later if r["macs"] <= 0.8 * start["macs"])
    assert both.summary["iterations"] == first
    assert {row.budget for row in both.budgets if row.met} >= set(counted)


@pytest.mark.usefixtures("no_training")
def test_a_budget_that_the_start_is_within_gives_the_start(run_dir):
    (member,) = deliver(run_dir, budgets=["macs=100%"])
    assert member.summary["iterations"] == 0
    assert member.tflite_path.read_bytes() == (run_dir / "start.tflite").read_bytes()


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["latency@host/cpu:1=45%"], "netadapt command of this run goes on with the search, given LATENCY=45%$"),
        (["latency@host/cpu:1=45%", "macs=100%"], "goes on with the search, given LATENCY=45%$"),
        (["latency@host/cpu:1=45%", "macs=10%"], "search for it with netadapt, in another run directory"),
        (["latency@host/cpu:1=1us"], "as it was begun, or for lower budgets that are written like LATENCY=60%$"),
        (["macs=10%"], "search for it with netadapt, in another run directory"),
    ],
)
def test_a_budget_that_no_network_is_within_is_refused_with_what_was_reached(run_dir, asked, said):
    last = records(run_dir)[-1]["iteration"]
    with pytest.raises(UserError, match=rf"no network of .* is within {', '.join(asked)}: ") as error:
        deliver(run_dir, budgets=asked)
    assert f"the last one, of iteration {last}, costs " in str(error.value)
    assert "100%" not in str(error.value).partition(": ")[2]
    assert re.search(said.replace("LATENCY", "latency@host/cpu:1"), str(error.value))
    assert not (run_dir / "family").exists()
    if "given" in said:
        with pytest.raises(AssertionError, match="trained again"):
            adapt(run_dir, asked[0])


def keep_records(run_dir: Path, count: int) -> None:
    path = run_dir / "journal.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]))


@pytest.mark.usefixtures("no_training")
def test_an_unfinished_search_is_to_go_on_as_it_was_begun(run_dir):
    events = list(Journal(run_dir / "journal.jsonl").events())
    keep_records(run_dir, events.index(records(run_dir)[1]) + 1)
    with pytest.raises(
        UserError, match=r"of iteration 1, .*; let the netadapt command of this run go on .* as it was begun"
    ):
        deliver(run_dir, budgets=["latency@host/cpu:1=61%"])


@pytest.mark.usefixtures("no_training")
def test_of_several_budgets_those_that_are_not_asked_for_stay(run_dir):
    config = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps({**config, "budgets": [BUDGET, "macs=90%"]}))
    with pytest.raises(UserError, match=r"given latency@host/cpu:1=45%, macs=90%$"):
        deliver(run_dir, budgets=["latency@host/cpu:1=45%"])


@pytest.mark.usefixtures("no_training")
def test_what_is_compared_with_a_budget_is_what_the_refusal_tells(run_dir):
    start, *_, last = records(run_dir)
    name = "latency@host/cpu:1"
    value, spread = last["measured"][name], last["spread"][name]
    budget = f"{name}={100 * (value + spread / 2) / start['measured'][name]:.4f}%"
    with pytest.raises(UserError) as error:
        deliver(run_dir, budgets=[budget, "macs=100%"])
    limit = parse_budget(budget).limit(start["measured"][name])
    said = f"of iteration {last['iteration']}, costs up to {value + spread:#.4g} ms (allowed: {limit:#.4g} ms)"
    assert f"{said}; " in str(error.value), "what is met is told, too"


@pytest.mark.slow
def test_the_delivered_file_has_the_last_word(run_dir, monkeypatch):
    budget = "macs=80%"
    start, *later = records(run_dir)
    first = next(r["iteration"] for r in later if r["macs"] <= 0.8 * start["macs"])
    real = delivery.Delivered

    def heavier(parameters: int, macs: int, *more: Any) -> delivery.Delivered:
        return real(parameters, start["macs"] if macs == later[first - 1]["macs"] else macs, *more)

    monkeypatch.setattr(delivery, "Delivered", heavier)
    (member,) = deliver(run_dir, budgets=[budget])
    assert member.summary["iterations"] == first + 1
    assert json.loads((run_dir / "family" / f"{first:03d}" / "summary.json").read_text())["budgets"][0]["met"] is False


@pytest.mark.slow
def test_what_the_search_did_not_measure_is_measured_from_the_largest_on_and_only_once(run_dir, monkeypatch):
    compared = []

    class Watched(FakeMeter):
        def __init__(self, target):
            super().__init__()
            self._target = target

        def compare(self, pair):
            compared.append(str(self._target))
            return super().compare(pair)

    class TwoMeters(FakeMeters):
        def of(self, target):
            return Watched(target)

    monkeypatch.setattr("netadapt_tf.problem.Meters", TwoMeters)
    budget = "latency@host/cpu:2=85%"
    (member,) = deliver(run_dir, budgets=[budget])
    costs = list(Journal(run_dir / "journal.jsonl").events("cost"))
    chosen = member.summary["iterations"]
    assert [record["iteration"] for record in costs] == list(range(chosen + 1))
    assert member.budgets[0].met
    assert member.summary["latency_ms"].keys() == {"host/cpu:1", "host/cpu:2"}
    assert compared.count("host/cpu:2") == chosen + 2, "each once by editing, and the delivered file"
    compared.clear()
    (again,) = deliver(run_dir, budgets=[budget])
    assert again.summary == member.summary
    assert not compared


class Phone(FakeMeter):
    """A device of its own, that takes so much longer; with `floor`, whatever the network."""

    def __init__(self, name: str, slowness: float = 1.0, floor: bool = False):
        super().__init__()
        self._name, self._slowness, self._floor = name, slowness, floor

    def fingerprint(self):
        return {"cpu": self._name}

    def compare(self, pair):
        slow = super().compare(Pair(pair.first, pair.first if self._floor else pair.second))
        return dataclasses.replace(
            slow, first_ms=self._slowness * slow.first_ms, second_ms=self._slowness * slow.second_ms
        )


@pytest.mark.slow
@pytest.mark.usefixtures("no_training")
def test_what_another_phone_took_is_measured_again(run_dir, monkeypatch):
    def deliver_on(phone: Phone) -> AdaptedNetwork:
        class Meters(FakeMeters):
            def of(self, target):
                return phone if str(target) == "host/cpu:2" else FakeMeter()

        monkeypatch.setattr("netadapt_tf.problem.Meters", Meters)
        (member,) = deliver(run_dir, budgets=["latency@host/cpu:2=60%"])
        return member

    with pytest.raises(UserError, match=r"no network of .* is within"):
        deliver_on(Phone("slow", floor=True))
    of_fast, of_third = (deliver_on(phone).summary for phone in (Phone("fast"), Phone("third", slowness=2)))
    assert of_fast["iterations"] == records(run_dir)[-1]["iteration"]
    assert (of_fast["target"]["host/cpu:2"], of_third["target"]["host/cpu:2"]) == ({"cpu": "fast"}, {"cpu": "third"})
    after = [summary["latency_ms"]["host/cpu:2"]["after"] for summary in (of_fast, of_third)]
    assert after[1] == pytest.approx(2 * after[0])
    monkeypatch.setattr(members, "delivery", None)
    assert deliver_on(Phone("third", slowness=2)).summary == of_third


@pytest.mark.slow
def test_networks_along_the_curve_end_with_the_last_and_stand_in_one_table(run_dir, caplog):
    path = run_dir / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    accuracies = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.3}  # the second is beaten by the third
    for record in lines:
        if record["event"] == "iteration":
            record["accuracy"] = accuracies[record["iteration"]]
    path.write_text("".join(json.dumps(record) + "\n" for record in lines))
    delivered = deliver(run_dir, pareto=2)
    assert [member.summary["iterations"] for member in delivered] == [1, 3]
    assert [member.summary["iterations"] for member in deliver(run_dir, pareto=4)] == [1, 2, 3]
    assert "has 3 networks besides the start to offer, fewer than 4" in caplog.text
    start, *rows = family_table([(member.keras_path.parent, member.summary) for member in delivered]).splitlines()[1:]
    assert start.split()[:2] == ["0", "(start)"]
    for row, member in zip(rows, delivered, strict=False):
        ms = member.summary["latency_ms"]["host/cpu:1"]
        number, latency, of_start, found, tuned, macs, *_ = row.split()
        assert int(number) == member.summary["iterations"]
        assert (latency, of_start) == (f"{ms['after']:.4f}", f"{ms['after'] / ms['before']:.1%}")
        assert (found, tuned) == tuple(f"{member.metric[when]:.2%}" for when in ("after_search", "after"))
        assert macs == f"{member.summary['macs']['after']:,d}"
    assert [row.strip() for row in rows[2:]] == [str(member.keras_path.parent) for member in delivered]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"iterations": [99]}, "has no iteration 99; it has those from 0, the start, to "),
        ({"iterations": [-1]}, "has no iteration -1"),
        ({}, "one of three says which networks"),
        ({"iterations": [1], "pareto": 2}, "one of three says which networks"),
        ({"pareto": -1}, "pareto is -1"),
        ({"budgets": ["macs=60%", "macs=1M"]}, "both about macs"),
        ({"budgets": ["energy=60%"]}, "unknown resource"),
        ({"iterations": [1], "epochs": -1}, "long_term_epochs is -1"),
        ({"iterations": [1], "loss": lambda targets, outputs: 0.0}, r"it differs in loss"),
        ({"iterations": [1], "metric": Metric("error", object, False)}, "it differs in metric"),
    ],
)
@pytest.mark.usefixtures("no_training")
def test_what_cannot_be_is_refused_before_anything_is_written(run_dir, asked, said):
    with pytest.raises(UserError, match=said):
        deliver(run_dir, **asked)
    assert not (run_dir / "family").exists()


def test_a_search_that_has_not_begun_is_refused(run_dir):
    (run_dir / "journal.jsonl").write_text("")
    with pytest.raises(UserError, match="has no iteration yet"):
        deliver(run_dir, pareto=2)
