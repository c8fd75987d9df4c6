"""A run in which something is damaged ends as it did undamaged, names the damage, and deletes nothing."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from netadapt_tf import AdaptedNetwork, adapt_network
from tests.netadapt_tf.killed_runs import BUDGET, SETTINGS, Meters, Moments, datasets
from tests.netadapt_tf.test_killed import same_weights, story
from tests.tiny_networks import tiny_cnn
from tflite_bench.errors import UserError


def adapt(folder: Path) -> AdaptedNetwork:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netadapt_tf.problem.Meters", lambda *_: Meters(Moments("", 0)))
        return adapt_network(
            tiny_cnn(dropout=0.5),
            datasets(),
            [BUDGET],
            folder / "run",
            settings=SETTINGS,
            table=folder / "table.sqlite",
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    adapt(folder)
    return folder


@pytest.fixture
def copy(tmp_path, whole) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def last_iteration(run: Path) -> Path:
    return sorted((run / "iterations").iterdir())[-1]


def unfinished(run: Path, without: str = "finished") -> None:
    """As before a kind of record was written."""
    (run / "summary.json").unlink()
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = next(at for at, line in enumerate(lines) if json.loads(line)["event"] == without)
    (run / "journal.jsonl").write_text("".join(lines[:kept]))


def line(number: int) -> Callable[[Path], Path]:
    def damage(run: Path) -> Path:
        unfinished(run)
        lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
        lines[number] = lines[number][:15] + "\n"
        (run / "journal.jsonl").write_text("".join(lines))
        return run / "journal.jsonl"

    return damage


def network_of_the_last_iteration(run: Path) -> Path:
    unfinished(run)
    one_bit(last_iteration(run) / "network.keras")
    return last_iteration(run)


def network_of_the_start(run: Path) -> Path:
    unfinished(run)
    cut_short(run / "iterations" / "000" / "network.keras")
    return run / "iterations" / "000"


def widths_of_the_start(run: Path) -> Path:
    unfinished(run)
    cut_short(run / "iterations" / "000" / "widths.json")
    return run / "iterations" / "000" / "widths.json"


def widths_of_the_last_iteration(run: Path) -> Path:
    unfinished(run)
    path = last_iteration(run) / "widths.json"
    path.write_text(json.dumps({name: filters - 1 for name, filters in json.loads(path.read_text()).items()}))
    return path


def start_tflite(run: Path) -> Path:
    unfinished(run)
    cut_short(run / "start.tflite")
    return run / "start.tflite"


def adapted_keras(run: Path) -> Path:
    one_bit(run / "adapted.keras")
    return run / "adapted.keras"


def adapted_tflite(run: Path) -> Path:
    one_bit(run / "adapted.tflite")
    return run / "adapted.tflite"


def summary(run: Path) -> Path:
    cut_short(run / "summary.json")
    return run / "summary.json"


def checkpoint(run: Path) -> Path:
    unfinished(run, "long_term")
    (run / "long-term.checkpoint.npz").write_bytes(b"PK half of it")
    return run / "long-term.checkpoint.npz"


def table(run: Path) -> Path:
    unfinished(run)
    cut_short(run.parent / "table.sqlite")
    return run.parent / "table.sqlite"


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        line(0),
        line(4),
        line(-1),
        network_of_the_last_iteration,
        network_of_the_start,
        widths_of_the_start,
        widths_of_the_last_iteration,
        start_tflite,
        adapted_keras,
        adapted_tflite,
        summary,
        checkpoint,
        table,
    ],
)
def test_it_ends_as_undamaged(whole, copy, caplog, damage):
    run = copy / "run"
    damaged = damage(run)
    content = damaged.read_bytes() if damaged.is_file() else None
    adapt(copy)
    assert re.search(re.escape(str(damaged)) + ".* is damaged", caplog.text)
    aside = damaged.with_name(f"{damaged.name}.damaged-1")
    assert aside.exists()
    assert content is None or aside.read_bytes() == content
    assert story(run) == story(whole / "run")
    found, expected = (json.loads((path / "run" / "summary.json").read_text()) for path in (copy, whole))
    assert {**found, "wall_s": 0} == {**expected, "wall_s": 0}
    same_weights(run / "adapted.keras", whole / "run" / "adapted.keras")
    np.testing.assert_equal((run / "adapted.tflite").read_bytes(), (whole / "run" / "adapted.tflite").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adapted.keras", "adapted.tflite", "widths.json"])
def test_what_a_finished_run_needs_and_is_gone_is_made_again(whole, copy, name):
    run = copy / "run"
    (last_iteration(run) / name if name == "widths.json" else run / name).unlink()
    adapt(copy)
    same_weights(run / "adapted.keras", whole / "run" / "adapted.keras")
    np.testing.assert_equal((run / "adapted.tflite").read_bytes(), (whole / "run" / "adapted.tflite").read_bytes())


@pytest.mark.slow
def test_what_was_asked_cannot_be_guessed(copy):
    cut_short(copy / "run" / "config.json")
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        adapt(copy)
