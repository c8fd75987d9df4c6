"""What a report says of one run, and of several."""

import html

import pytest

from netadapt_tf.reporting.report import write_report
from netadapt_tf.reporting.run_record import DISCARDED, FAILED, LOST, PICKED, SCREENED, read_run
from netadapt_tf.search.journal import Journal
from tests.netadapt_tf.reporting.read_report import KEYS, Reader, plain, report, rows, sections, specs, table
from tests.netadapt_tf.reporting.small_run import (
    COMMAND,
    CONFIG,
    LATENCY,
    SECOND,
    SUMMARY,
    TARGET,
    by_the_table,
    edit,
    on_two_targets,
    write_member,
    write_run,
)


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


def test_networks_that_were_delivered_later_stand_beside_the_runs_own(run_dir):
    write_member(run_dir, 1, accuracy={"before": 0.901, "after_search": 0.89, "after": 0.9})
    section = sections(run_dir)["family"]
    sizes = ["2,000,000", "50.0 %", "400,000", "40.0 %"]
    assert section.text[1:] == [f"{LATENCY}=60%: met by the run's own."]
    assert table(section, "Delivered") == [
        ["start", "0 (start)", "1.0100", "", "90.10 %", "", "4,000,000", "", "1,000,000", ""],
        ["family/001", "1", "0.5950", "58.9 %", "89.00 %", "90.00 %", *sizes],
        ["the run's own", "2", "0.5950", "58.9 %", "88.00 %", "89.75 %", *sizes],
    ]
    assert [row["score"] for row in rows(section)] == [0.901, 0.9, 0.8975]
    assert [row["tip"].splitlines()[0] for row in rows(section)] == [
        "Start",
        "Iteration 1, family/001",
        "Iteration 2, the run's own",
    ]
    assert "iteration 1 at 58.9 %: 90.00 %;" in plain(section.charts[0].description)


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


def test_of_mid_term_fine_tunes_readers_are_told(run_dir):
    before = [sections(run_dir)[name].text[0] for name in ("trade-off", "proposals")]
    assert not any("mid-term" in text for text in before)
    edit(run_dir / "config.json", mid_term_epochs=2)
    networks, proposals = (sections(run_dir)[name].text[0] for name in ("trade-off", "proposals"))
    assert "on the hold-out set after its mid-term fine-tune" in networks
    assert "was picked, and had a mid-term fine-tune before the next iteration" in proposals


def test_it_says_how_to_reproduce_the_run(run_dir):
    section = sections(run_dir)["again"]
    assert section.listing == COMMAND
    assert section.text[0].startswith("Seed 7.")
    assert table(section, "Versions") == [["netadapt_tf", "0.1.0"], ["tensorflow", "2.21.0"], ["numpy", "2.4.6"]]
    assert table(section, f"Target {TARGET}") == [["cpu", "imagined"], ["cores", "2"]]
    assert ["budgets", f"{LATENCY}=60%"] in table(section, "Settings")


@pytest.mark.parametrize("finished", [True, False])
def test_of_a_run_by_the_table_alone_nothing_is_said_to_be_measured(tmp_path, finished):
    run_dir = write_run(tmp_path / "run", finished=finished)
    write_member(run_dir, 1)
    by_the_table(run_dir)
    write_report([run_dir], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    note = "Latencies are the table's; nothing was measured, nothing is proven."
    text = Reader(page).text
    assert text.count(note) == 1
    assert "measur" not in text.replace(note, "").replace("measuring", ""), "the kind of work is called so"
    assert not [spec for spec in specs(page) if '"measured"' in spec]
    found = sections(run_dir)
    (iterations, *_) = found["trade-off"].tables
    assert iterations.head[-3:] == [f"Latency on {TARGET}, ms: allowed", "predicted", "by the table"]
    assert found.keys() == {"family", *KEYS} - ({"predicted"} if finished else {"predicted", "layers", "staircases"})
    if finished:
        assert plain(report(run_dir).accounts[0].verdicts[0].text) == "at most 0.6060 ms, by the table 0.5950 ms"


def test_of_several_runs_those_by_the_table_alone_are_named(tmp_path):
    runs = [write_run(tmp_path / name) for name in ("measured", "tabled")]
    by_the_table(runs[1])
    said = [sentence for section in report(*runs).comparison for sentence in section.text if "table" in sentence]
    assert said == ["Latencies of tabled are the latency table's; nothing was measured there."] * 2
    assert not [
        sentence for section in report(runs[0], runs[0]).comparison for sentence in section.text if "table" in sentence
    ]


def test_a_run_on_two_targets_shows_both(run_dir):
    write_member(run_dir, 1)
    on_two_targets(run_dir)
    found = sections(run_dir)
    assert [chart.title for chart in found["trade-off"].charts] == [
        f"Latency on {target} and hold-out accuracy" for target in (TARGET, SECOND)
    ]
    start, *members = table(found["family"], "Delivered")
    assert start[2:6] == ["1.0100", "", "25.2500", ""]
    assert [row[2:6] for row in members] == [["0.5950", "58.9 %", "14.8750", "58.9 %"]] * 2
    assert len(found["family"].charts) == len(found["layers"].charts) == 2


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
