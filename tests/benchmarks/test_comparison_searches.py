import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import comparison_searches
from benchmarks.comparison_searches import Searches
from netadapt_tf.networks.files import save_network
from netadapt_tf.search.journal import Journal
from netadapt_tf.settings import Settings
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import corner_datasets
from tflite_bench.target import parse_target

PROPOSALS = {1: 3, 2: 3, 3: 2}


def searched(folder: Path, legs: dict[int, int]) -> None:
    """A run directory as a search leaves it.

    Args:
        folder: of the seed.
        legs: by budget, the iteration that its leg ends with.
    """
    run_dir = folder / "latency"
    (run_dir / "iterations").mkdir(parents=True, exist_ok=True)
    journal = Journal(run_dir / "journal.jsonl")
    done = journal.last("iteration") or {"iteration": 0}
    for percent, last in legs.items():
        for number in range(done["iteration"] + 1, last + 1):
            iteration = run_dir / "iterations" / f"{number:03d}"
            iteration.mkdir()
            save_network(tiny_cnn(), iteration / "network.keras")
            (iteration / "widths.json").write_text(json.dumps({"first": 8 - number}))
            for group in range(PROPOSALS[number]):
                journal.append("proposal", iteration=number, group=f"{group}", filters=1, accuracy=0.5)
            done = journal.append("iteration", iteration=number, accuracy=0.5, predicted={}, measured={}, spread={})
        journal.append("finished", budget=f"latency@host/cpu:1={percent}%")


def searches(folder: Path, mid_term_epochs: int = 0) -> Searches:
    settings = Settings(short_term_steps=10, mid_term_epochs=mid_term_epochs, pretrain_epochs=3, long_term_epochs=5)
    return Searches(folder, tiny_cnn(), corner_datasets(), settings, parse_target("host/cpu:1"), 6.0, None)


def test_a_network_on_the_way_costs_what_led_to_it(tmp_path):
    searched(tmp_path, {70: 1, 50: 3})
    (tmp_path / "latency.minutes").write_text("8.0")
    first, last = (searches(tmp_path).by_latency([70, 50], percent) for percent in (70, 50))
    assert (first.widths, last.widths) == ({"first": 7}, {"first": 5})
    assert (first.steps, last.steps) == (3 * 12, 8 * 12), "10 steps, and 6 batches of evaluation at a third"
    assert (first.minutes, last.minutes) == (3.0, 8.0)


def test_mid_term_fine_tunes_are_counted_with_the_iterations_that_had_one(tmp_path):
    searched(tmp_path, {70: 1, 50: 3})
    (tmp_path / "latency.minutes").write_text("12.0")
    first, last = (searches(tmp_path, mid_term_epochs=2).by_latency([70, 50], percent) for percent in (70, 50))
    assert (first.steps, last.steps) == (3 * 12 + 10, 8 * 12 + 3 * 10), "two epochs of four batches, and an evaluation"
    assert first.minutes == pytest.approx(12.0 * first.steps / last.steps)


def test_only_legs_that_are_missing_are_searched(tmp_path, monkeypatch):
    searched(tmp_path, {70: 1})
    asked = []

    def adapt(network, datasets, budgets, run_dir, *, settings, **_):
        asked.append((budgets, settings.pretrain_epochs, settings.long_term_epochs))
        searched(tmp_path, {50: 2})
        return SimpleNamespace(summary={"iterations": 2})

    monkeypatch.setattr(comparison_searches, "adapt_network", adapt)
    assert searches(tmp_path).by_latency([70, 50, 35], 50).widths == {"first": 6}
    assert asked == [(["latency@host/cpu:1=50%"], 0, 0)]
    assert (tmp_path / "latency.minutes").exists()
    assert searches(tmp_path).by_latency([70, 50, 35], 70).widths == {"first": 7}
    assert len(asked) == 1


def test_a_budget_that_is_no_leg_is_a_defect(tmp_path):
    searched(tmp_path, {70: 1})
    with pytest.raises(ValueError, match="35 is none of"):
        searches(tmp_path).by_latency([70], 35)
