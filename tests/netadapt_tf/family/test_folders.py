"""The folders of a family: whose they are, what they remember, and what of them, or of the run, is damaged."""

import json
import re
import shutil

import pytest

from netadapt_tf import UserError
from netadapt_tf.search.journal import Journal
from tests.netadapt_tf.family.family_runs import adapt, cut_short, deliver, killed_at, records, same_weights


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


@pytest.mark.slow
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
def test_by_budget_what_is_finished_is_repeated_whatever_the_later_folders_are(run_dir):
    deliver(run_dir, budgets=["macs=100%"])
    deliver(run_dir, iterations=[records(run_dir)[-1]["iteration"]], epochs=1)
    (again,) = deliver(run_dir, budgets=["macs=100%"])
    assert again.summary["iterations"] == 0


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
@pytest.mark.parametrize("content", ['{"first": 8, "second": 1}', pytest.param("{", marks=pytest.mark.slow)])
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
