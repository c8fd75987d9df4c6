"""What a report says of damaged, unfinished and old run directories."""

import json

import pytest

from netadapt_tf.reporting.report import write_report
from netadapt_tf.reporting.run_record import read_run
from tests.netadapt_tf.reporting.read_report import KEYS, plain, report, sections, specs, table
from tests.netadapt_tf.reporting.small_run import (
    TARGET,
    WIDTHS,
    edit,
    layers,
    write_member,
    write_run,
)
from tflite_bench.errors import UserError

DAMAGED_LAYERS = f"What layers.json holds of {TARGET} is damaged"


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run")


def test_a_run_that_goes_on_to_another_budget_is_not_taken_for_finished(run_dir):
    edit(run_dir / "summary.json", iterations=1)
    (account,) = report(run_dir).accounts
    assert any("The search has gone on to iteration 2, for another budget" in remark for remark in account.remarks)
    assert {int(row[0]) for row in table(sections(run_dir)["proposals"], "Proposals")} == {1}


def test_what_the_summary_says_of_the_metric_counts_where_the_configuration_is_damaged(run_dir):
    edit(run_dir / "summary.json", metric={"name": "error", "larger_is_better": False})
    (run_dir / "config.json").write_text("{")
    assert report(run_dir).accounts[0].cards[0].title == "Error, test set"


def test_a_family_of_an_unfinished_run_is_shown_and_damage_to_it_is_said(tmp_path):
    run_dir = write_run(tmp_path / "run", finished=False)
    write_member(run_dir, 1)
    (write_member(run_dir, 2) / "summary.json").write_text("{")
    (account,) = report(run_dir).accounts
    assert [row[0] for row in table(sections(run_dir)["family"], "Delivered")] == ["start", "family/001"]
    assert "family/002/summary.json is damaged; that network of the family is left out." in account.remarks


def test_an_unfinished_run_is_shown_as_far_as_it_is(tmp_path):
    path = write_run(tmp_path / "run", finished=False, iterations=1)
    (account,) = report(path).accounts
    assert plain(account.headline) == (
        "Not finished: 1 iteration so far; Latency on host/cpu:1 78.0 % of the start's; hold-out accuracy 89.00 %."
    )
    assert account.verdicts[0].met is None
    assert any("not finished" in remark for remark in account.remarks)
    found = {section.key: section for section in account.sections}
    assert set(KEYS) - set(found) == {"layers", "staircases"}
    assert table(found["again"], f"Target {TARGET}") == [["cpu", "imagined"], ["cores", "2"]]
    assert "is kept when a run is finished" in found["again"].text[0]
    write_report([path], tmp_path / "report.html")


def test_a_run_that_has_only_begun_is_shown(tmp_path):
    path = write_run(tmp_path / "run", finished=False, iterations=0)
    write_report([path], tmp_path / "report.html")
    (path / "journal.jsonl").unlink()
    write_report([path], tmp_path / "report.html")
    assert "the search has not begun" in (tmp_path / "report.html").read_text()


def test_an_earlier_version_s_run_lacks_layers_and_says_so(run_dir):
    (run_dir / "layers.json").unlink()
    for name in ("latency_is_from", "precision", "final"):
        edit(run_dir / "summary.json", **{name: None})
    (account,) = report(run_dir).accounts
    assert any("earlier version" in remark for remark in account.remarks)
    assert not {section.key for section in account.sections} & {"layers", "staircases"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("journal.jsonl", None, "journal.jsonl is damaged (line"),
        ("summary.json", "{", "summary.json is damaged"),
        ("summary.json", '{"budgets": [{"budget": "macs=1M"}]}', "summary.json is damaged"),
        ("config.json", "[]", "config.json is damaged"),
        ("layers.json", "nothing", "layers.json is damaged"),
        ("layers.json", '{"host/cpu:1": {"layers": 3}}', DAMAGED_LAYERS),
        ("layers.json", json.dumps(layers()).replace("0.45", "NaN"), DAMAGED_LAYERS),
        ("layers.json", json.dumps(layers()).replace('"call_ms"', '"call"'), DAMAGED_LAYERS),
        ("layers.json", json.dumps(layers()).replace('"name": "b"', '"name": 2'), DAMAGED_LAYERS),
        ("layers.json", json.dumps(layers()).replace("[1, 8, 8, 24]", "24"), DAMAGED_LAYERS),
        ("config.json", '{"budgets": 3, "network": null, "hash": "0"}', None),
        ("iterations/000/widths.json", "?", "the filters of iteration 0 are left out"),
        ("iterations/002/widths.json", "?", "the filters of iteration 2 are those before it, less what it picked"),
    ],
)
def test_what_is_damaged_is_left_out_and_said(run_dir, tmp_path, name, content, said):
    path = run_dir / name
    lines = path.read_text().splitlines()
    path.write_text(content if content is not None else "\n".join([*lines[:-2], "garbage", *lines[-2:]]) + "\n")
    (account,) = report(run_dir).accounts
    assert said is None or sum(said in remark for remark in account.remarks) == 1
    write_report([run_dir], tmp_path / "report.html")
    for spec in specs((tmp_path / "report.html").read_text()):
        json.loads(spec, parse_constant=pytest.fail)


def test_widths_that_are_gone_follow_from_what_was_picked(run_dir):
    (run_dir / "iterations" / "002" / "widths.json").unlink()
    assert [step.widths for step in read_run(run_dir).steps] == list(WIDTHS)


def test_figures_that_are_no_numbers_break_nothing(run_dir, tmp_path):
    journal = run_dir / "journal.jsonl"
    text = journal.read_text().replace('"accuracy": 0.5,', '"accuracy": NaN,').replace("0.79}", "Infinity}")
    journal.write_text(text.replace('{"measure": 10.0', '{"measure": "long"'))
    write_report([run_dir], tmp_path / "report.html")
    for spec in specs((tmp_path / "report.html").read_text()):
        json.loads(spec, parse_constant=pytest.fail)


def test_another_folder_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    refused = {"gone": "is no folder", ".": "holds no config.json", "other": "a config.json that is not ours"}
    for path, said in ((tmp_path / name, said) for name, said in refused.items()):
        with pytest.raises(UserError, match=said):
            write_report([path], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
