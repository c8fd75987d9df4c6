"""More networks of one search: chosen, long-term fine-tuned and delivered like its own."""

import dataclasses
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netadapt_tf import AdaptedNetwork, Metric, UserError, adapt_network, delivery, finetune_iterations, members
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.reporting.family import family_table
from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.search.journal import Journal
from netadapt_tf.training.trainer import Trainer
from tests.fake_meter import FakeMeter
from tests.tiny_adaptation import QUICK, FakeMeters, corner_datasets, four_corners, interrupted_at
from tests.tiny_networks import tiny_cnn
from tflite_bench import runtime
from tflite_bench.timing import Pair

BUDGET = "latency@host/cpu:1=60%"
SETTINGS = dataclasses.replace(QUICK, initial_reduction=0.1, long_term_epochs=3)


@pytest.fixture(scope="module", autouse=True)
def _imagined_devices() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netadapt_tf.problem.Meters", FakeMeters)
        yield


def adapt(run_dir: Path, budget: str = BUDGET) -> AdaptedNetwork:
    return adapt_network(tiny_cnn(dropout=0.5), corner_datasets(), [budget], run_dir, settings=SETTINGS)


def deliver(run_dir: Path, **asked: Any) -> tuple[AdaptedNetwork, ...]:
    return finetune_iterations(run_dir, corner_datasets(), **asked)


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("searched") / "run"
    assert adapt(run_dir).summary["iterations"] >= 3
    return run_dir


@pytest.fixture
def run_dir(tmp_path, searched) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "run"))


@pytest.fixture
def no_training(monkeypatch):
    def again(*_, **__):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(Trainer, "fit", again)


def killed_at(step: str, monkeypatch: pytest.MonkeyPatch, run_dir: Path, **asked: Any) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(members, step, killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(run_dir, **asked)


def records(run_dir: Path) -> list[dict]:
    return list(Journal(run_dir / "journal.jsonl").events("iteration"))


def story(run_dir: Path) -> list[dict]:
    """What the search found out, without what no two runs have alike."""
    return [
        {key: value for key, value in record.items() if key not in ("wall_s", "sha256")}
        for record in Journal(run_dir / "journal.jsonl").events()
        if record["event"] != "cost"
    ]


def same_weights(one: AdaptedNetwork, other: AdaptedNetwork) -> None:
    for ours, theirs in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_an_earlier_iteration_is_delivered_as_the_run_s_own_is(run_dir):
    own = json.loads((run_dir / "summary.json").read_text())
    before = {path: path.read_bytes() for path in run_dir.iterdir() if path.is_file() and path.name != "report.html"}
    (member,) = deliver(run_dir, iterations=[1], command="the command")
    assert member.keras_path == run_dir / "family" / "001" / "adapted.keras"
    summary = json.loads((run_dir / "family" / "001" / "summary.json").read_text())
    assert summary == member.summary
    assert summary.keys() == own.keys()
    assert (summary["iterations"], summary["budgets"], summary["command"]) == (1, [], "the command")
    assert (summary["long_term_epochs"], summary["long_term_learning_rate"]) == (3, SETTINGS.long_term_learning_rate)
    assert summary["wall_s"]["long_term"] > 0

    record = records(run_dir)[1]
    assert member.widths == json.loads((run_dir / "iterations" / "001" / "widths.json").read_text())
    assert member.widths == find_channels(member.network).widths
    assert summary["macs"] == {"before": own["macs"]["before"], "after": record["macs"]}
    assert summary["parameters"]["after"] == member.network.count_params() == record["parameters"]
    assert summary["tflite_bytes"]["after"] == member.tflite_path.stat().st_size
    latency = summary["latency_ms"]["host/cpu:1"]
    assert latency["before"] == own["latency_ms"]["host/cpu:1"]["before"]
    assert latency["after"] == pytest.approx(record["measured"]["latency@host/cpu:1"])
    assert latency["predicted_after"] == pytest.approx(record["predicted"]["latency@host/cpu:1"])
    images, labels = four_corners(seed=2)
    assert summary["accuracy"]["before"] == own["accuracy"]["before"]
    for name, tflite in (("before", run_dir / "start.tflite"), ("after", member.tflite_path)):
        answers = runtime.outputs(tflite.read_bytes(), images).argmax(-1)
        assert summary["accuracy"][name] == pytest.approx((answers == labels).mean())
    iteration = load_network(run_dir / "iterations" / "001" / "network.keras")
    assert np.abs(iteration.get_weights()[0] - member.network.get_weights()[0]).max() > 0, "it was not trained"

    after = {path: path.read_bytes() for path in before}
    assert after == before, "the run itself has changed"
    assert "Iteration 1, family/001" in (run_dir / "report.html").read_text()


def test_what_is_finished_is_not_done_again(run_dir, monkeypatch):
    (first,) = deliver(run_dir, iterations=[1])
    journals = {path: path.read_text() for path in run_dir.rglob("journal.jsonl")}
    assert len(journals) == 2

    def again(*_, **__):
        raise AssertionError("it is delivered again")

    monkeypatch.setattr(members, "delivery", again)
    (second,) = deliver(run_dir, iterations=[1])
    assert second.summary == first.summary
    assert journals == {path: path.read_text() for path in run_dir.rglob("journal.jsonl")}


@pytest.mark.usefixtures("no_training")
def test_the_network_that_the_run_has_delivered_is_not_trained_again(run_dir):
    last = records(run_dir)[-1]["iteration"]
    (member,) = deliver(run_dir, iterations=[last])
    assert member.keras_path.read_bytes() == (run_dir / "adapted.keras").read_bytes()
    assert member.tflite_path.read_bytes() == (run_dir / "adapted.tflite").read_bytes()
    assert member.metric == json.loads((run_dir / "summary.json").read_text())["accuracy"]


@pytest.mark.slow
def test_trained_anew_it_is_the_network_that_the_run_has_delivered(run_dir):
    own = adapt(run_dir)
    (run_dir / "adapted.keras").unlink()
    (member,) = deliver(run_dir, iterations=[own.summary["iterations"]])
    same_weights(member, own)
    assert member.tflite_path.read_bytes() == own.tflite_path.read_bytes()


@pytest.mark.slow
def test_interrupted_again_and_again_it_ends_as_one_that_is_not(run_dir, tmp_path, monkeypatch):
    whole_dir = Path(shutil.copytree(run_dir, tmp_path / "whole"))
    (whole,) = deliver(whole_dir, iterations=[2])
    fit, epochs, parts = Trainer.fit, [], None
    calls = itertools.count(1)

    def interrupted(trainer, batches, steps, rates, begin=0, update=None):
        fit(trainer, batches, steps, rates, begin, update)
        if next(calls) in (2, 4):  # after the second epoch, before it is kept; and again in the third
            raise KeyboardInterrupt
        epochs.append(begin)
        return 0.0

    monkeypatch.setattr(Trainer, "fit", interrupted)
    interruptions = 0
    while parts is None:
        try:
            (parts,) = deliver(run_dir, iterations=[2])
        except KeyboardInterrupt:
            interruptions += 1
            assert list((run_dir / "family" / "002").glob("*.checkpoint.npz"))
    assert interruptions == 2
    assert len(epochs) == len(set(epochs)) == SETTINGS.long_term_epochs, "an epoch was trained again"
    same_weights(parts, whole)
    assert parts.tflite_path.read_bytes() == whole.tflite_path.read_bytes()
    assert {**parts.summary, "wall_s": 0} == {**whole.summary, "wall_s": 0}
    assert not list(run_dir.rglob("*.checkpoint.npz"))


@pytest.mark.slow
def test_a_search_goes_on_to_a_lower_budget_as_if_nobody_had_asked_for_its_family(run_dir, tmp_path):
    alone = Path(shutil.copytree(run_dir, tmp_path / "alone"))
    deliver(run_dir, iterations=[1, 2])
    before = (run_dir / "journal.jsonl").read_text()
    reached = records(run_dir)[-1]["iteration"]
    with_family, without = (adapt(folder, "latency@host/cpu:1=45%") for folder in (run_dir, alone))
    assert (run_dir / "journal.jsonl").read_text().startswith(before), "something was done again, or lost"
    assert with_family.summary["iterations"] > reached
    assert with_family.budgets[0].met
    assert story(run_dir) == story(alone)
    same_weights(with_family, without)
    new = (run_dir / "journal.jsonl").read_text().removeprefix(before)
    assert f'"iteration": {reached}, "group"' not in new, "an iteration of the finished search was repeated"
    times = with_family.summary["wall_s"]
    trained = [r["wall_s"]["long_term"] for r in Journal(run_dir / "journal.jsonl").events("long_term")]
    assert times["long_term"] == pytest.approx(sum(trained), abs=0.1), "the family's time is not the run's"


@pytest.mark.slow
def test_of_a_run_whose_summary_is_lost_nothing_is_recorded_twice(run_dir):
    deliver(run_dir, iterations=[records(run_dir)[-1]["iteration"]])
    before = (run_dir / "journal.jsonl").read_text()
    summary = json.loads((run_dir / "summary.json").read_text())
    (run_dir / "summary.json").unlink()
    assert adapt(run_dir).summary == summary
    assert (run_dir / "journal.jsonl").read_text() == before


@pytest.mark.slow
def test_networks_of_an_unfinished_search_are_delivered_and_it_goes_on(tmp_path, searched, monkeypatch):
    run_dir = tmp_path / "run"
    with interrupted_at(4, monkeypatch):
        adapt(run_dir)
    assert records(run_dir)[-1]["iteration"] == 1
    (member,) = deliver(run_dir, iterations=[1])
    assert member.summary["iterations"] == 1
    adapt(run_dir)
    assert story(run_dir) == story(searched)


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
def test_another_budget_for_a_finished_network_is_judged_without_training_it_again(run_dir, monkeypatch):
    (first,) = deliver(run_dir, budgets=["macs=80%"])
    monkeypatch.setattr(Trainer, "fit", None)
    (second,) = deliver(run_dir, budgets=["macs=81%"])
    assert second.summary["iterations"] == first.summary["iterations"]
    assert [row.budget for row in second.budgets] == ["macs=80%", "macs=81%"]
    monkeypatch.setattr(members, "delivery", None)
    (third,) = deliver(run_dir, budgets=["macs=80%"])
    assert third.summary == second.summary


@pytest.mark.usefixtures("no_training")
def test_what_a_network_was_asked_for_is_remembered_whatever_becomes_of_its_summary(run_dir, monkeypatch):
    start, *_, last = records(run_dir)
    budgets = [f"macs={100 * last['macs'] / start['macs'] + more:.4f}%" for more in (0.001, 0.002)]
    deliver(run_dir, budgets=budgets[:1])
    folder = run_dir / "family" / f"{last['iteration']:03d}"
    killed_at("summarised", monkeypatch, run_dir, budgets=budgets[1:])
    assert not (folder / "summary.json").exists()
    (member,) = deliver(run_dir, budgets=budgets[1:])
    assert [row.budget for row in member.budgets] == budgets
    for name in ("adapted.tflite", "summary.json"):
        cut_short(folder / name)
        (member,) = deliver(run_dir, iterations=[last["iteration"]])
        assert [row.budget for row in member.budgets] == budgets


@pytest.mark.usefixtures("no_training")
def test_a_folder_of_an_earlier_version_keeps_its_verdicts_when_it_is_judged_again(run_dir):
    start, *_, last = records(run_dir)
    budgets = [f"macs={100 * last['macs'] / start['macs'] + more:.4f}%" for more in (0.001, 0.002)]
    deliver(run_dir, budgets=budgets[:1])
    config = run_dir / "family" / f"{last['iteration']:03d}" / "config.json"
    content = json.loads(config.read_text())
    assert content.pop("budgets") == budgets[:1]
    config.write_text(json.dumps(content))
    (member,) = deliver(run_dir, budgets=budgets[1:])
    assert [(row.budget, row.met) for row in member.budgets] == [(budget, True) for budget in budgets]


@pytest.mark.usefixtures("no_training")
def test_the_report_is_written_where_a_kill_or_its_loss_left_it_without_a_member(run_dir, monkeypatch):
    last, report = records(run_dir)[-1]["iteration"], run_dir / "report.html"
    killed_at("keep_report", monkeypatch, run_dir, iterations=[last])
    assert f"family/{last:03d}" not in report.read_text()
    deliver(run_dir, iterations=[last])
    assert f"family/{last:03d}" in report.read_text()
    written = report.stat().st_mtime_ns
    deliver(run_dir, iterations=[last])
    assert report.stat().st_mtime_ns == written, "it was up to date"
    report.unlink()
    deliver(run_dir, iterations=[last])
    assert f"family/{last:03d}" in report.read_text()


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


@pytest.mark.slow
def test_other_epochs_are_recorded_and_never_mixed_with_those_of_before(run_dir):
    last = records(run_dir)[-1]["iteration"]
    (member,) = deliver(run_dir, iterations=[last], epochs=1, learning_rate=0.01)
    assert (member.summary["long_term_epochs"], member.summary["long_term_learning_rate"]) == (1, 0.01)
    assert member.keras_path.read_bytes() != (run_dir / "adapted.keras").read_bytes(), "the run's own was taken"
    with pytest.raises(UserError, match=r"differs in long_term_epochs \(there 1, now 3\), long_term_learning_rate"):
        deliver(run_dir, iterations=[last])


@pytest.mark.usefixtures("no_training")
def test_a_folder_of_another_request_is_refused_before_another_network_is_trained(run_dir):
    last = records(run_dir)[-1]["iteration"]
    deliver(run_dir, iterations=[last])
    for asked in ({"iterations": [1, last]}, {"pareto": 2}):
        with pytest.raises(UserError, match=rf"{last:03d} is the outcome of another request.*\(there 3, now 50\)"):
            deliver(run_dir, **asked, epochs=50)
    assert [folder.name for folder in (run_dir / "family").iterdir()] == [f"{last:03d}"]


@pytest.mark.usefixtures("no_training")
def test_by_budget_the_folders_of_all_that_may_have_their_turn_are_looked_at_before_one_is_trained(run_dir):
    start, first, *_, last = records(run_dir)
    deliver(run_dir, iterations=[last["iteration"]])
    deliver(run_dir, iterations=[0], epochs=50)
    budgets = [f"macs={100 * record['macs'] / start['macs'] + 0.01:.4f}%" for record in (first, last)]
    with pytest.raises(UserError, match=rf"{last['iteration']:03d} is the outcome of another request.*now 50\)"):
        deliver(run_dir, budgets=[budgets[0], "parameters=100%"], epochs=50)
    assert sorted(folder.name for folder in (run_dir / "family").iterdir()) == ["000", f"{last['iteration']:03d}"]
    (member,) = deliver(run_dir, budgets=[budgets[1], "parameters=100%"])
    assert member.summary["iterations"] == last["iteration"], "the folder of the start, which is over, is no matter"


@pytest.mark.slow
@pytest.mark.usefixtures("no_training")
def test_an_iteration_that_changed_is_not_taken_for_what_was_delivered(run_dir):
    last = records(run_dir)[-1]["iteration"]
    deliver(run_dir, iterations=[last])
    for name in ("network.keras", "widths.json"):
        shutil.copy(run_dir / "iterations" / "001" / name, run_dir / "iterations" / f"{last:03d}" / name)
    with pytest.raises(UserError, match="differs in network_sha256"):
        deliver(run_dir, iterations=[last])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adapted.tflite", "adapted.keras", "summary.json"])
def test_what_is_damaged_is_set_aside_and_delivered_again(run_dir, caplog, name):
    (member,) = deliver(run_dir, iterations=[1])
    path = member.keras_path.with_name(name)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1 if name != "summary.json" else 0xFF
    path.write_bytes(content)
    (again,) = deliver(run_dir, iterations=[1])
    assert re.search(re.escape(str(path)) + ".* is damaged", caplog.text)
    assert path.with_name(f"{name}.damaged-1").exists()
    same_weights(again, member)
    assert {**again.summary, "wall_s": 0} == {**member.summary, "wall_s": 0}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.slow
def test_a_damaged_iteration_is_named_and_by_budget_or_curve_passed_over(run_dir, caplog):
    start, *later = records(run_dir)
    first = next(r["iteration"] for r in later if r["macs"] <= 0.8 * start["macs"])
    cut_short(run_dir / "iterations" / f"{first:03d}" / "network.keras")
    with pytest.raises(UserError, match=f"{first:03d} is damaged or gone; ask for another network"):
        deliver(run_dir, iterations=[first])
    (member,) = deliver(run_dir, budgets=["macs=80%"])
    assert member.summary["iterations"] == first + 1
    assert f"{first:03d} is damaged or gone; it is passed over" in caplog.text


@pytest.mark.usefixtures("no_training")
def test_a_damaged_iteration_whose_cost_the_search_did_not_measure_is_passed_over(run_dir, caplog):
    shutil.rmtree(run_dir / "iterations" / "001")
    with pytest.raises(UserError, match=r"no network of .* is within macs=10%"):
        deliver(run_dir, budgets=["macs=10%"])
    assert "001 is damaged or gone; it is passed over" in caplog.text


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("content", ['{"first": 8, "second": 1}', "{"])
def test_widths_that_are_wrong_are_written_anew_before_anything_is_counted_by_them(run_dir, caplog, content):
    last = records(run_dir)[-1]["iteration"]
    path = run_dir / "iterations" / f"{last:03d}" / "widths.json"
    before = json.loads(path.read_text())
    assert before.keys() == {"first", "second"}
    path.write_text(content)
    (member,) = deliver(run_dir, iterations=[last])
    assert member.widths == before == json.loads(path.read_text())
    assert member.summary["macs"] == json.loads((run_dir / "summary.json").read_text())["macs"]
    assert f"{path} is damaged; it is set aside as widths.json.damaged-1" in caplog.text
    path.write_text(content)
    assert adapt(run_dir).widths == before, "of a finished run, too"


@pytest.mark.usefixtures("no_training")
def test_an_iteration_that_mending_takes_back_is_refused(run_dir):
    events = list(Journal(run_dir / "journal.jsonl").events())
    (long_term,) = (record for record in events if record["event"] == "long_term")
    first, last = records(run_dir)[1], records(run_dir)[-1]
    events.remove(long_term)
    events.insert(events.index(first) + 1, long_term)  # as if a lower budget had let the search go on
    (run_dir / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in events))
    cut_short(run_dir / "adapted.keras")
    with pytest.raises(UserError, match=f"has no iteration {last['iteration']}; it has those from 0, the start, to 1"):
        deliver(run_dir, iterations=[last["iteration"]])
    assert not (run_dir / "family").exists()


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


@pytest.mark.usefixtures("no_training")
def test_a_damaged_configuration_of_a_member_is_refused_and_its_folder_can_be_renamed(run_dir):
    last = records(run_dir)[-1]["iteration"]
    (member,) = deliver(run_dir, iterations=[last])
    folder = member.keras_path.parent
    for content in ('{"iteration": 3', "[]", "\0", '{"budgets": "macs=60%"}', '{"budgets": [60]}'):
        (folder / "config.json").write_text(content)
        with pytest.raises(UserError) as error:
            deliver(run_dir, iterations=[last])
        assert str(error.value) == (
            f"{folder / 'config.json'} is damaged; rename or remove its folder, and the network is delivered anew"
        )
    folder.rename(folder.with_name("old"))
    (again,) = deliver(run_dir, iterations=[last])
    assert again.keras_path == folder / "adapted.keras"


def test_a_folder_that_is_no_run_directory_is_refused(tmp_path, run_dir):
    with pytest.raises(UserError, match="is no run directory"):
        deliver(tmp_path, iterations=[1])
    cut_short(run_dir / "config.json")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        deliver(run_dir, iterations=[1])


def test_a_search_that_has_not_begun_is_refused(run_dir):
    (run_dir / "journal.jsonl").write_text("")
    with pytest.raises(UserError, match="has no iteration yet"):
        deliver(run_dir, pareto=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "change", [{"precision": "int8", "calibration_images": 32, "quantization_aware_epochs": 1}, {"final": "retrain"}]
)
def test_in_int8_and_retrained_it_is_the_same_as_the_run_s_own(tmp_path, change, monkeypatch):
    settings = dataclasses.replace(SETTINGS, long_term_epochs=1, **change)
    own = adapt_network(tiny_cnn(), corner_datasets(), [BUDGET], tmp_path / "run", settings=settings)
    copied = Path(shutil.copytree(tmp_path / "run", tmp_path / "copied"))
    last = own.summary["iterations"]
    for name in ("adapted.keras", "adapted.tflite"):
        (tmp_path / "run" / name).unlink()
    (trained,) = deliver(tmp_path / "run", iterations=[last])
    monkeypatch.setattr(Trainer, "fit", None)
    (taken_over,) = deliver(copied, iterations=[last])
    assert own.summary["accuracy"] == trained.metric == taken_over.metric
    same_weights(trained, own)
    assert taken_over.tflite_path.read_bytes() == (copied / "adapted.tflite").read_bytes()
    images, _ = four_corners(seed=2)
    # as files they differ: the names of int8's tensors are numbered within a process
    ours, theirs = (runtime.outputs(member.tflite_path.read_bytes(), images) for member in (trained, taken_over))
    np.testing.assert_array_equal(ours, theirs)
