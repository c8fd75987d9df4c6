import csv
import shlex
import subprocess
import sys
from collections.abc import Sequence

import pytest

SMALL = (
    "--resolution=32 --dataset=fashion_mnist_12k --train_images=400 --holdout_images=100 --pretrain_epochs=1 "
    "--long_term_epochs=1 --short_term_steps=1 --measurings=1 --percents=95 --seeds=3 --threads=2 --nodoubled"
)
MULTIPLIER, TAUGHT = "multiplier for the whole compute", "multiplier taught"
LARGER_RATE = "netadapt at a rate of 0.15"
KINDS = ("netadapt", "netadapt untaught", "netadapt cut at once", LARGER_RATE, MULTIPLIER, "uniform")
MORE = (*KINDS, "netadapt by MACs", "netadapt by best ratio", TAUGHT)

EPOCH_STEPS = 4 / 3 * 4  # of 400 images by 128, taught


def compare(output, kinds: Sequence[str], *more: str) -> subprocess.CompletedProcess[str]:
    flags = [*shlex.split(SMALL), f"--rows={','.join(['start', *kinds])}", f"--output={output}", *more]
    command = [sys.executable, "-m", "benchmarks.accuracy_vs_latency", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800)


@pytest.mark.slow
def test_rows_may_be_trained_before_any_is_timed(tmp_path):
    trained = compare(tmp_path, [], "--measurings=0")
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout == f"No row of {tmp_path} is timed yet: without --measurings=0 the same command does that.\n"
    timed = compare(tmp_path, [])
    assert timed.returncode == 0, timed.stderr
    assert "Seed" not in timed.stderr, "a finished row was trained again"
    assert "| 100 % | start | " in timed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [KINDS, pytest.param(MORE, marks=pytest.mark.sweep)], ids=["few", "more"])
def test_the_comparison_runs_and_goes_on_from_its_rows(tmp_path, kinds):
    result = compare(tmp_path, kinds)
    assert result.returncode == 0, result.stderr
    with open(tmp_path / "rows_3.csv", newline="") as file:
        rows = {(row["kind"], int(row["percent"])): row for row in csv.DictReader(file)}
    fair = [kind for kind in kinds if kind in (MULTIPLIER, TAUGHT)]
    assert rows.keys() == {(kind, 95) for kind in kinds} | {(kind, 100) for kind in ("start", *fair)}
    widths = {key: row["widths"] for key, row in rows.items()}
    assert widths["uniform", 95] == widths[MULTIPLIER, 95] != widths["netadapt", 95]
    assert widths["netadapt cut at once", 95] == widths["netadapt", 95]
    assert widths[MULTIPLIER, 100] == widths["start", 100]
    netadapt, untaught = rows["netadapt", 95], rows["netadapt untaught", 95]
    assert int(netadapt["steps"]) == round(4 / 3 * int(untaught["steps"])), "a teacher's answers are work, too"
    for kind in ("netadapt cut at once", LARGER_RATE):
        assert [rows[kind, 95][name] for name in ("steps", "steps_before")] == [
            netadapt["steps"],
            netadapt["steps_before"],
        ]
    assert widths[LARGER_RATE, 95] == widths["netadapt", 95]
    for kind in fair:
        steps = int(rows[kind, 95]["steps"]) + int(rows[kind, 95]["steps_before"])
        wanted = int(netadapt["steps"]) + int(netadapt["steps_before"])
        assert abs(steps - wanted) <= EPOCH_STEPS, "the fair fight is not fair"
    assert int(netadapt["steps_before"]) > int(rows["uniform", 95]["steps_before"]) == int(rows["start", 100]["steps"])
    printed = [line for line in result.stdout.splitlines() if line.startswith(("| 95 %", "| 100 %"))]
    assert len(printed) == len(rows)
    assert (tmp_path / "comparison.png").exists()

    again = compare(tmp_path, kinds, "--measurings=0")
    assert again.returncode == 0
    assert "Seed" not in again.stderr, "a finished row was trained again"
    assert again.stdout == result.stdout, "the same rows came to something else"

    other = compare(tmp_path, kinds, "--percents=80")
    assert other.returncode == 2
    assert "it differs in percents" in other.stderr

    unknown = compare(tmp_path, kinds, "--rows=netadapt,magic")
    assert unknown.returncode == 2
    assert "--rows should list some of start, netadapt" in unknown.stderr
