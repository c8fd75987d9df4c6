"""Killed anywhere and called again, an adaptation ends as one that was never killed, and does nothing twice."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from netadapt_tf.networks.files import load_network
from netadapt_tf.search.journal import Journal
from tests.netadapt_tf.killed_runs import MOMENTS

KILLS = 20
OF_ONE_RUN = ("wall_s", "command", "sha256")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The runs, and in `kills.json` when each was killed."""
    folder = tmp_path_factory.mktemp("killed")
    driver = subprocess.run(
        [sys.executable, "-m", "tests.netadapt_tf.killed_runs", str(folder), str(KILLS), "0"],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert driver.returncode == 0, driver.stderr[-4000:]
    (folder / "kills.json").write_text(driver.stdout.splitlines()[-1])
    return folder


def killed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.isdecimal())


def story(run: Path) -> list[dict]:
    """The journal without what no two runs have alike: times, and those in the files."""
    events = Journal(run / "journal.jsonl").events()
    return [{key: value for key, value in record.items() if key not in OF_ONE_RUN} for record in events]


@pytest.mark.slow
def test_it_was_killed_at_moments_of_every_kind(folder):
    kills = json.loads((folder / "kills.json").read_text())
    assert len(kills) == KILLS
    assert {kind for _, kind, _ in kills} == MOMENTS.keys()


@pytest.mark.slow
def test_the_end_is_that_of_a_run_that_was_never_killed(folder):
    whole = folder / "whole" / "run"
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["iterations"] >= 2
    for run in (path / "run" for path in killed(folder)):
        assert story(run) == story(whole)
        found = json.loads((run / "summary.json").read_text())
        assert {**found, "wall_s": 0} == {**summary, "wall_s": 0}
        assert (run / "adapted.tflite").read_bytes() == (whole / "adapted.tflite").read_bytes()
        for number in range(summary["iterations"] + 1):
            name = f"iterations/{number:03d}/network.keras"
            same_weights(run / name, whole / name)
        same_weights(run / "adapted.keras", whole / "adapted.keras")
        assert not list(run.glob("*.checkpoint*")), "what is finished needs no checkpoint"
        assert not list(run.rglob("*.damaged*")), "a kill damages nothing"


@pytest.mark.slow
def test_nothing_that_was_finished_is_done_again(folder):
    for path in killed(folder):
        cuts = Counter((r["iteration"], r["group"], r["filters"]) for r in story(path / "run") if "group" in r)
        assert set(cuts.values()) == {1}
        kept = Counter((path / "kept.txt").read_text().splitlines())
        assert set(kept.values()) == {1}, [line for line, count in kept.items() if count > 1]
        whole = set((folder / "whole" / "kept.txt").read_text().splitlines())
        assert kept.keys() <= whole, "something was measured that a run that is not killed does not need"


def same_weights(one: Path, other: Path) -> None:
    for ours, theirs in zip(load_network(one).get_weights(), load_network(other).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
