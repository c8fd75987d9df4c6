"""What a report says, and that it says it of damaged, unfinished and old run directories, too."""

import html
import itertools
import json
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import pytest

from netadapt_tf.reporting import html_page
from netadapt_tf.reporting.figures import NOT_KNOWN, number
from netadapt_tf.reporting.page import Page, Section
from netadapt_tf.reporting.report import page_of, write_report
from netadapt_tf.reporting.run_record import DISCARDED, FAILED, LOST, PICKED, SCREENED, read_run
from netadapt_tf.search.journal import Journal
from tests.netadapt_tf.reporting.small_run import (
    COMMAND,
    CONFIG,
    LATENCY,
    SUMMARY,
    TARGET,
    WIDTHS,
    edit,
    layers,
    write_member,
    write_run,
)
from tflite_bench.errors import UserError

DAMAGED_LAYERS = f"What layers.json holds of {TARGET} is damaged"
KEYS = ["trade-off", "filters", "layers", "predicted", "schedule", "time", "proposals", "staircases", "again"]


def report(*paths) -> Page:
    return page_of([read_run(path) for path in paths])


def sections(*paths) -> dict[str, Section]:
    (account,) = report(*paths).accounts
    return {section.key: section for section in account.sections}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def table(section: Section, caption: str) -> list[list[str]]:
    found = next(table for table in [*section.shown, *section.tables] if table.caption.startswith(caption))
    return [[plain(cell) for cell in row] for row in found.rows]


def rows(section: Section, chart: int = 0) -> list[dict]:
    """Data of all layers of a chart."""
    spec = section.charts[chart].spec
    data = [layer["data"]["values"] for layer in spec["layer"] if "data" in layer]
    return [row for values in ([spec["data"]["values"]] if "data" in spec else []) + data for row in values]


def specs(page: str) -> list[str]:
    """The charts of a page, as JSON."""
    return re.findall(r'<script type="application/json" id="[^"]*">(.*?)</script>', page, re.DOTALL)


class Reader(HTMLParser):
    """The text of a page outside of its scripts and styles, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open = tag

    def handle_data(self, data):
        if self._open not in ("script", "style"):
            self.text += data


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run")


def test_the_answer_comes_first(run_dir):
    (account,) = report(run_dir).accounts
    assert plain(account.headline) == (
        "The budget is met: latency on host/cpu:1 is 58.9 % of what it was, accuracy went from 90.10 % to 89.75 %."
    )
    assert [[plain(text) for text in (card.title, card.before, card.after, card.change)] for card in account.cards] == [
        ["Accuracy, test set", "90.10 %", "89.75 %", "-0.35 points"],
        ["Latency on host/cpu:1, ms", "1.010", "0.5950", "58.9 %"],
        ["MACs, millions", "4", "2", "50.0 %"],
        ["Parameters, thousands", "250", "90", "36.0 %"],
        ["File size, kB", "1,000", "400", "40.0 %"],
    ]
    (verdict,) = account.verdicts
    assert (verdict.budget, verdict.met) == (f"{LATENCY}=60%", True)
    assert plain(verdict.text) == "at most 0.6060 ms, measured 0.5950 ms"
    assert any("hold-out set" in remark for remark in account.remarks), "after was trained on more than before"
    assert [section.key for section in account.sections] == KEYS


def test_a_budget_that_is_not_met_is_said_first(run_dir):
    budgets = [
        {"budget": f"{LATENCY}=60%", "asked": 0.606, "reached": 0.7, "unit": "ms", "met": False},
        {"budget": "macs=3M", "asked": 3e6, "reached": 2e6, "unit": "macs", "met": True},
    ]
    edit(run_dir / "summary.json", budgets=budgets[:1])
    assert report(run_dir).accounts[0].headline.startswith("The budget is NOT met: ")
    edit(run_dir / "summary.json", budgets=budgets)
    (account,) = report(run_dir).accounts
    assert account.headline.startswith("1 of 2 budgets are met: ")
    assert [verdict.met for verdict in account.verdicts] == [False, True]
    assert plain(account.verdicts[1].text) == "at most 3,000,000 MACs, reached 2,000,000 MACs"


def test_a_run_that_goes_on_to_another_budget_is_not_taken_for_finished(run_dir):
    edit(run_dir / "summary.json", iterations=1)
    (account,) = report(run_dir).accounts
    assert any("The search has gone on to iteration 2, for another budget" in remark for remark in account.remarks)
    assert {int(row[0]) for row in table(sections(run_dir)["proposals"], "Proposals")} == {1}


def test_budgets_that_were_met_one_after_the_other_are_told(run_dir):
    journal = Journal(run_dir / "journal.jsonl")
    journal.append("finished", budget=f"{LATENCY}=80%")
    journal.append("finished", budget=f"{LATENCY}=60%")
    assert f"finished for {LATENCY}=80%, then for {LATENCY}=60%" in " ".join(sections(run_dir)["again"].text)


@pytest.mark.parametrize(("met", "said"), [(True, "was within already"), (False, "no channel group could be cut")])
def test_where_nothing_was_cut_the_reason_fits_the_verdict(tmp_path, met, said):
    run_dir = write_run(tmp_path / "run", iterations=0)
    edit(run_dir / "summary.json", iterations=0, budgets=[{**SUMMARY["budgets"][0], "met": met}])
    assert said in report(run_dir).accounts[0].headline
    assert "nothing was cut" in " ".join(sections(run_dir)["predicted"].text)


def test_a_run_from_python_has_no_command_to_repeat(run_dir):
    edit(run_dir / "summary.json", command="")
    assert "Seed 7. The run was made from Python" in " ".join(sections(run_dir)["again"].text)


def test_several_cuts_of_a_group_in_one_iteration_are_several_proposals(run_dir):
    journal = Journal(run_dir / "journal.jsonl")
    journal.append("discarded", iteration=2, group="c", filters=8)
    journal.append("proposal", iteration=2, group="c", filters=16, accuracy=0.86, predicted={LATENCY: 0.6})
    fates = {(offer.group, offer.filters): offer.fate for offer in read_run(run_dir).offers if offer.iteration == 2}
    assert fates == {("a", 4): SCREENED, ("b", 24): PICKED, ("c", 8): DISCARDED, ("c", 16): LOST}


def test_what_the_summary_says_of_the_metric_counts_where_the_configuration_is_damaged(run_dir):
    edit(run_dir / "summary.json", metric={"name": "error", "larger_is_better": False})
    (run_dir / "config.json").write_text("{")
    assert report(run_dir).accounts[0].cards[0].title == "Error, test set"


def test_figures_have_no_bare_point():
    shown = [number(value, 3) for value in (456.7, 45.67, 0.5, 7, None, math.nan)]
    assert shown == ["457", "45.7", "0.500", "7", NOT_KNOWN, NOT_KNOWN]


def test_networks_that_were_delivered_later_stand_beside_the_runs_own(run_dir):
    write_member(run_dir, 1, accuracy={"before": 0.901, "after_search": 0.89, "after": 0.9})
    section = sections(run_dir)["family"]
    sizes = ["2,000,000", "50.0%", "400,000", "40.0%"]
    assert section.text[1:] == [f"{LATENCY}=60%: met by the run's own."]
    assert table(section, "Delivered") == [
        ["start", "0 (start)", "1.0100", "", "90.10%", "", "4,000,000", "", "1,000,000", ""],
        ["family/001", "1", "0.5950", "58.9%", "89.00%", "90.00%", *sizes],
        ["the run's own", "2", "0.5950", "58.9%", "88.00%", "89.75%", *sizes],
    ]
    assert [row["score"] for row in rows(section)] == [0.901, 0.9, 0.8975]
    assert [row["tip"].splitlines()[0] for row in rows(section)] == [
        "Start",
        "Iteration 1, family/001",
        "Iteration 2, the run's own",
    ]
    assert "iteration 1 at 58.9 %: 90.00 %;" in plain(section.charts[0].description)


def test_a_family_of_an_unfinished_run_is_shown_and_damage_to_it_is_said(tmp_path):
    run_dir = write_run(tmp_path / "run", finished=False)
    write_member(run_dir, 1)
    (write_member(run_dir, 2) / "summary.json").write_text("{")
    (account,) = report(run_dir).accounts
    assert [row[0] for row in table(sections(run_dir)["family"], "Delivered")] == ["start", "family/001"]
    assert "family/002/summary.json is damaged; that network of the family is left out." in account.remarks


def test_every_network_is_a_point_that_shows_its_widths(run_dir):
    section = sections(run_dir)["trade-off"]
    points = {row["order"]: row for row in rows(section) if "order" in row}
    assert {order: (row["cost"], row["score"]) for order, row in points.items()} == {
        0: (1.0, 0.9),
        1: (0.78, 0.89),
        2: (0.59, 0.885),
    }
    assert plain(points[2]["tip"]).splitlines() == [
        "Iteration 2",
        "Latency on host/cpu:1: 0.5900 ms",
        "hold-out accuracy: 88.50 %",
        "b: 64 → 24",
        "c: 128 → 48",
        "1 group as at the start",
    ]
    assert points[0]["tip"].splitlines()[-3:] == ["a: 32", "b: 64", "c: 128"]
    assert {row["value"] for row in rows(section) if "value" in row} == {0.6}, "the budget, on the search's scale"
    assert table(section, "Iterations")[1] == ["1", "c", "48", "89.00 %", "0.8000", "0.7900", "0.7800"]
    assert table(section, "Filters of every")[2] == ["c", "128", "48", "48"]


def test_filters_and_layers_are_shown_before_and_after(run_dir):
    found = sections(run_dir)
    assert table(found["filters"], "Filters") == [
        ["a", "32", "32", "100.0 %"],
        ["b", "64", "24", "37.5 %"],
        ["c", "128", "48", "37.5 %"],
    ]
    bars = [(row["name"], row["side"], row["value"], row.get("text")) for row in rows(found["filters"])]
    assert bars[:4] == [("a", "before", 32, None), ("a", "after", 32, "32")] + [
        ("b", "before", 64, None),
        ("b", "after", 24, "64 → 24"),
    ]
    assert table(found["layers"], f"Layers on {TARGET}") == [
        ["a", "CONV_2D", "8x8x32", "8x8x32", "200", "200", "100.0 %"],
        ["b", "CONV_2D", "8x8x64", "8x8x24", "300", "150", "50.0 %"],
        ["c", "CONV_2D", "8x8x128", "8x8x48", "450", "200", "44.4 %"],
        ["one run, besides", "", "", "", "1", "1", ""],
    ]
    stairs = [(row["filters"], row["latency"]) for row in rows(found["staircases"])]
    assert (48, pytest.approx(300)) in stairs
    assert "c on host/cpu:1: 128 filters" in found["staircases"].charts[0].description


def test_predictions_are_held_against_measurements(run_dir):
    section = sections(run_dir)["predicted"]
    errors = {row["iteration"]: row["error"] for row in rows(section, 1)}
    assert errors == {0: pytest.approx(-0.02), 1: pytest.approx(0.79 / 0.78 - 1), 2: pytest.approx(0.6 / 0.59 - 1)}
    assert "off by -2.0 %, those of 2 iterations by 1.7 % at most and 1.5 % on average" in plain(
        section.charts[0].description
    )


def test_the_schedule_and_the_time_are_shown(run_dir):
    found = sections(run_dir)
    allowed = [(row["iteration"], row["cost"]) for row in rows(found["schedule"]) if row.get("kind") == "allowed"]
    assert allowed == [(1, 0.8), (2, 0.6)]
    assert "initial reduction 0.2, reduction decay 0.96" in found["schedule"].text[0]
    assert table(found["time"], "Wall time") == [
        ["measuring", "30.0", "33.3 %"],
        ["short-term fine-tunes", "60.0", "66.7 %"],
    ]
    assert plain(found["time"].text[0]) == "90 s in all."


def test_every_proposal_is_there_with_what_became_of_it(run_dir):
    Journal(run_dir / "journal.jsonl").append("discarded", iteration=2, group="c", filters=8)
    section = sections(run_dir)["proposals"]
    assert [(row[0], row[1], row[2]) for row in table(section, "Proposals")] == [
        ("1", "a", LOST),
        ("1", "b", FAILED),
        ("1", "c", PICKED),
        ("2", "a", SCREENED),
        ("2", "b", PICKED),
        ("2", "c", DISCARDED),
    ]
    assert section.tables[0].marked == [2, 4]
    assert sorted(row["kind"] for row in rows(section)) == sorted([LOST, PICKED, SCREENED, PICKED, DISCARDED])
    assert "1 failed" in section.text[0]


def test_it_says_how_to_reproduce_the_run(run_dir):
    section = sections(run_dir)["again"]
    assert section.listing == COMMAND
    assert section.text[0].startswith("Seed 7.")
    assert table(section, "Versions") == [["netadapt_tf", "0.1.0"], ["tensorflow", "2.21.0"], ["numpy", "2.4.6"]]
    assert table(section, f"Target {TARGET}") == [["cpu", "imagined"], ["cores", "2"]]
    assert ["budgets", f"{LATENCY}=60%"] in table(section, "Settings")


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


def test_a_file_that_cannot_be_written_is_said(run_dir, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report([run_dir], tmp_path / "file" / "report.html")
    with pytest.raises(UserError, match="which is a folder; name a file in it"):
        write_report([run_dir], tmp_path)
    with (
        mock.patch.object(os, "replace", side_effect=OSError("no space left")),
        pytest.raises(UserError, match="no space left"),
    ):
        write_report([run_dir], tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "run"]


def test_nothing_of_a_run_becomes_markup(run_dir, tmp_path):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='alert(3)"
    for path in (run_dir / "journal.jsonl", *run_dir.glob("iterations/*/widths.json")):
        path.write_text(path.read_text().replace('"c"', json.dumps(hostile)))
    edit(run_dir / "summary.json", command=hostile, versions={hostile: hostile}, target={TARGET: {"cpu": hostile}})
    edit(run_dir / "config.json", network=hostile, metric=hostile)
    record = layers()
    record[TARGET]["layers"][2]["name"] = record[TARGET]["staircases"][0]["group"] = hostile
    (run_dir / "layers.json").write_text(json.dumps({hostile: record[TARGET]}))
    write_report([run_dir], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    reader = Reader(page)
    scripts = [attributes for tag, attributes in reader.tags if tag == "script"]
    assert len(scripts) == sum("type" in attributes for attributes in scripts) + 2, "Vega and ours"
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert not [attributes for _, attributes in reader.tags if {"onload", "onerror"} & set(attributes)]
    assert hostile in reader.text
    assert page.count("alert(1)") > 10, "it is nowhere"
    found = [json.dumps(json.loads(spec), ensure_ascii=False).replace('\\"', '"') for spec in specs(page)]
    assert any(hostile in spec for spec in found)


def test_the_file_needs_nothing_else(run_dir, tmp_path):
    write_report([run_dir], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    reader = Reader(page)
    assert [attributes["href"] for tag, attributes in reader.tags if tag == "link"] == ["data:,"]
    assert not [attributes for _, attributes in reader.tags if "src" in attributes]
    assert "default-src 'none'" in page
    assert len(page) < 1_200_000
    assert "University of Washington Interactive Data Lab" in page, "the licence of what is inside"
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(attributes["href"])[1:] for tag, attributes in reader.tags if tag == "a"]
    assert set(links) <= set(ids)
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert len([tag for tag, _ in reader.tags if tag == "h1"]) == 1


def test_what_every_figure_of_a_chart_says_stands_in_a_description(run_dir):
    for section in sections(run_dir).values():
        for chart in section.charts:
            assert re.search(r"\d", chart.description)
            assert html_page.compiled(chart.spec)["$schema"].startswith("https://vega.github.io/schema/vega/")


def test_several_runs_are_put_side_by_side(tmp_path):
    first, second = write_run(tmp_path / "one" / "run"), write_run(tmp_path / "two" / "run")
    third = write_run(tmp_path / "two" / "other", finished=False, iterations=1)
    edit(second / "summary.json", accuracy={"before": 0.901, "after_search": 0.8, "after": 0.91})
    page = report(first, second, third)
    assert page.title == "3 adaptations side by side"
    by_key = {section.key: section for section in page.comparison}
    found = table(by_key["runs"], "The runs")
    assert [row[0] for row in found] == ["one/run", "two/run", "two/other"]
    assert [row[4] for row in found] == ["-0.35 points", "+0.90 points", "-1.00 points"]
    assert found[0][3:] == ["90.10 % → 89.75 %", "-0.35 points", "1.010 → 0.5950", "58.9 %", "50.0 %", "2", "90 s"]
    assert found[2][3:] == ["90.00 % → 89.00 %", "-1.00 points", "–", "–", "–", "1", "60 s"]  # noqa: RUF001
    assert found[2][2] == f"{LATENCY}=60%: not finished"
    (chart,) = by_key["curves"].charts
    assert {row["kind"] for row in rows(by_key["curves"])} == {"one/run", "two/run", "two/other"}
    assert "two/run to" in chart.description
    write_report([first, second, third], tmp_path / "all.html")
    text = html.unescape((tmp_path / "all.html").read_text())
    assert text.index("The runs side by side") < text.index("one/run</h2>") < text.index("two/other</h2>")


def test_runs_of_one_name_and_place_are_told_apart(tmp_path):
    path = write_run(tmp_path / "run")
    names = [account.name for account in report(path, path).accounts]
    assert len(set(names)) == 2


def test_the_budgets_of_a_caller_s_own_resource_are_shown(run_dir):
    budget = {"budget": "energy=5mJ", "asked": 5.0, "reached": 4.5, "unit": "mJ", "met": True}
    edit(run_dir / "summary.json", budgets=[budget])
    journal = run_dir / "journal.jsonl"
    journal.write_text(journal.read_text().replace(LATENCY, "energy"))
    (account,) = report(run_dir).accounts
    assert plain(account.verdicts[0].text) == "at most 5 mJ, reached 4.500 mJ"
    chart = next(section for section in account.sections if section.key == "trade-off").charts[0]
    assert "energy" in chart.title
    assert "0.5900 mJ" in plain(chart.description)


def test_counted_budgets_need_no_prediction(run_dir):
    edit(run_dir / "config.json", budgets=["macs=50%"])
    budget = {"budget": "macs=50%", "asked": 2e6, "reached": 2e6, "unit": "macs", "met": True}
    edit(run_dir / "summary.json", budgets=[budget])
    section = sections(run_dir)["predicted"]
    assert section.charts == []
    assert "counted" in section.text[0]


def test_settings_are_those_of_the_run(run_dir):
    assert {row[0] for row in table(sections(run_dir)["again"], "Settings")} == set(CONFIG)


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_charts_too_can_be_read_in_light_dark_and_print():
    """WCAG's contrast: 4.5 for text, 3 for marks; what axe does not look at in pictures."""
    style = (Path(html_page.__file__).parent / "template" / "report.css").read_text()
    light, dark, paper = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in style.split(":root {")[1:]
    )
    assert not paper, "paper is light"
    assert style.count("prefers-color-scheme") == style.count("@media screen and (prefers-color-scheme: dark)") == 1
    for colors in (light, dark):
        for name in ("ink", "soft", "loud", "good", "link"):
            assert min(contrast(colors[name], colors[ground]) for ground in ("page", "panel")) >= 4.5, name
        for name in ("faint", *(f"series-{position}" for position in range(1, 8))):
            assert contrast(colors[name], colors["page"]) >= 3, name
