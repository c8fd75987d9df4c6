"""More networks of one search: long-term fine-tuned and delivered like its own, and gone on with."""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from netadapt_tf import adapt_network, members
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.search.journal import Journal
from netadapt_tf.training.trainer import Trainer
from tests.netadapt_tf.family.family_runs import (
    BUDGET,
    SETTINGS,
    adapt,
    deliver,
    killed_at,
    records,
    same_weights,
    story,
)
from tests.tiny_adaptation import corner_datasets, four_corners, interrupted_at
from tests.tiny_networks import tiny_cnn
from tflite_bench import runtime


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
