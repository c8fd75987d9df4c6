"""The file of a report: whole or not there, complete in itself, safe, and readable."""

import itertools
import json
import os
import re
from pathlib import Path
from unittest import mock

import pytest

from netadapt_tf.reporting import html_page
from netadapt_tf.reporting.report import write_report
from tests.netadapt_tf.reporting.read_report import Reader, sections, specs
from tests.netadapt_tf.reporting.small_run import (
    TARGET,
    edit,
    layers,
    write_member,
    write_run,
)
from tflite_bench.errors import UserError


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run")


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


def test_lines_of_tables_may_end_within_names_and_never_within_figures(run_dir, tmp_path):
    write_member(run_dir, 1)
    write_report([run_dir, run_dir], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "latency@<wbr>host/<wbr>cpu:1=60%: met</td>" in page
    assert ">4,000,000</td>" in page


def test_what_every_figure_of_a_chart_says_stands_in_a_description(run_dir):
    for section in sections(run_dir).values():
        for chart in section.charts:
            assert re.search(r"\d", chart.description)
            assert html_page.compiled(chart.spec)["$schema"].startswith("https://vega.github.io/schema/vega/")


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
