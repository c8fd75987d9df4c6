"""The real binaries, on a network so small that they take seconds, in the sweep minutes."""

import json
import re
import subprocess
import sys

import pytest


def call(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_table_accuracy_measures_and_draws(tmp_path):
    command = ["benchmarks.table_accuracy", "--alphas=0.25", "--resolutions=32", "--widths=2", "--seconds=0.05"]
    command += [f"--output={tmp_path}", f"--table={tmp_path}/table.sqlite"]
    assert "corrected, step" in call(*command)
    assert len((tmp_path / "table_accuracy.csv").read_text().splitlines()) == 3
    assert (tmp_path / "table_accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.sweep
def test_table_accuracy_measures_on_a_gpu(software_gpu, tmp_path):
    command = ["benchmarks.table_accuracy", "--target=host/gpu", "--alphas=0.25", "--resolutions=32", "--widths=1"]
    printed = call(*command, "--seconds=0.05", f"--output={tmp_path}", f"--table={tmp_path}/table.sqlite")
    assert "corrected, step" in printed
    assert "SwiftShader Device (Subzero) is a software driver" in printed
    assert (tmp_path / "table_accuracy.csv").read_text().splitlines()[1].startswith("host/gpu,")
    assert (tmp_path / "table_accuracy_host_gpu.png").exists()


@pytest.mark.slow
def test_table_repeatability_fills_once_then_again(tmp_path):
    command = ["benchmarks.table_repeatability", "--alpha=0.25", "--resolution=32", "--widths=1"]
    assert "Call again in an hour" in call(*command, f"--output={tmp_path}")
    assert "median difference" in call(*command, f"--output={tmp_path}")
    assert (tmp_path / "table_repeatability.csv").read_text().startswith("signature,first_ms,second_ms,difference")


@pytest.mark.slow
@pytest.mark.sweep
def test_search_speed_tells_where_the_time_goes_and_what_screening_saves():
    small = ["--resolution=32", "--percent=97", "--holdout_images=200", "--pretrain_epochs=1"]
    printed = call("benchmarks.search_speed", "--steps=2", "--screening_steps=12", *small)
    assert "2 steps, 1 iterations: training steps " in printed
    assert "a rebuild for each proposal / masks: " in printed
    assert "the same with Keras' own compile and fit / masks: " in printed
    assert "screening" in printed


@pytest.mark.slow
@pytest.mark.sweep
def test_search_memory_says_by_how_much_it_grows():
    printed = call("benchmarks.search_memory", "--iterations=3", "--first=2")
    assert re.search(r"from iteration 2 to 3.*%", printed)


@pytest.mark.slow
@pytest.mark.sweep
def test_table_fill_compares_editing_with_the_converter_and_counts_entries():
    printed = call("benchmarks.table_fill", "--models=2", "--shapes=1", "--search_alpha=0.25", "--search_resolution=32")
    assert "converter / editing " in printed
    assert re.search(
        r"\d+ entries in \d+ s: .* readings each, .* ms of loading and timing each, .* ms besides", printed
    )


@pytest.mark.slow
@pytest.mark.sweep
def test_input_pipeline_says_what_feeding_costs():
    small = ["--photos=60", "--augmentation=imagenet", "--resolution=32", "--batch_size=8", "--steps=2", "--rounds=2"]
    assert "a step fed by the data set / on a batch at hand: " in call("benchmarks.input_pipeline", *small)


def test_scaling_simulates_what_a_journal_recorded(tmp_path):
    about = {"iteration": 1, "accuracy": 0.5}
    proposals = [{"event": "proposal", **about, "group": g, "filters": 8, "wall_s": 60.0} for g in ("a", "b")]
    measured: dict = {"predicted": {}, "measured": {}, "spread": {}, "wall_s": {"short_term": 120.0}}
    lines = map(json.dumps, [*proposals, {"event": "iteration", **about, **measured}])
    (tmp_path / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))
    printed = call("benchmarks.scaling", f"--run_dir={tmp_path}", "--workers=1,2")
    assert printed.startswith("A simulation from what ")
    assert printed.splitlines()[-2:] == ["| 1 | 2.00 | 1.0 |", "| 2 | 1.00 | 2.0 |"]
