import json

import pytest

from benchmarks.drawing import draw_run
from benchmarks.story import read_story
from netadapt_tf.search.journal import Journal
from tflite_bench.errors import UserError

NAME = "latency@host/cpu:1"


def finished_run(folder):
    """A start and two iterations, as a search leaves them."""
    journal = Journal(folder / "journal.jsonl")
    for number, (cost, filters) in enumerate([(2.0, 16), (1.5, 12), (1.1, 8)]):
        journal.append(
            "iteration",
            iteration=number,
            accuracy=0.9 - 0.1 * number,
            predicted={NAME: cost + 0.1, "macs": 7},
            measured={NAME: cost, "macs": 7},
            spread={NAME: 0.0, "macs": 0},
        )
        (folder / f"iterations/{number:03d}").mkdir(parents=True)
        (folder / f"iterations/{number:03d}/widths.json").write_text(json.dumps({"conv": filters, "other": 4}))
    budget = {"budget": f"{NAME}=60%", "asked": 1.2, "reached": 1.1, "unit": "ms", "met": True}
    (folder / "summary.json").write_text(
        json.dumps({"budgets": [budget], "latency_ms": {"host/cpu:1": {"before": 2.4}}})
    )
    return folder


def test_a_story_is_what_the_run_directory_says(tmp_path):
    story = read_story(finished_run(tmp_path))
    assert story.budget == f"{NAME}=60%"
    assert story.asked == pytest.approx(0.5)
    assert story.measured == pytest.approx([1.0, 0.75, 0.55])
    assert story.predicted == pytest.approx([1.05, 0.8, 0.6])
    assert story.accuracy == pytest.approx([0.9, 0.8, 0.7])
    assert (story.start_widths, story.widths) == ({"conv": 16, "other": 4}, {"conv": 8, "other": 4})


def test_it_can_be_drawn(tmp_path):
    picture = tmp_path / "new" / "run.png"
    draw_run(read_story(finished_run(tmp_path)), picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_a_finished_run_is_named(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} is no directory of a finished run"):
        read_story(tmp_path)
