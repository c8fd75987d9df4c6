import csv
import shlex
import subprocess
import sys

import pytest

SMALL = (
    "--resolution=32 --dataset=fashion_mnist_12k --train_images=400 --holdout_images=100 --pretrain_epochs=1 "
    "--long_term_epochs=1 --short_term_steps=1 --measurings=1 --percents=90 --seeds=3 --threads=2 --nodoubled "
    "'--rows=start,netadapt,netadapt untaught,multiplier for the whole compute,uniform'"
)

EPOCH_STEPS = 4 / 3 * 4  # of 400 images by 128, taught


def compare(output, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.accuracy_vs_latency", *shlex.split(SMALL), f"--output={output}", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800)


@pytest.mark.slow
def test_the_comparison_runs_and_goes_on_from_its_rows(tmp_path):
    result = compare(tmp_path)
    assert result.returncode == 0, result.stderr
    with open(tmp_path / "rows_3.csv", newline="") as file:
        rows = {(row["kind"], int(row["percent"])): row for row in csv.DictReader(file)}
    multiplier = "multiplier for the whole compute"
    at_budget = {"netadapt", "netadapt untaught", "uniform", multiplier}
    assert rows.keys() == {(kind, 90) for kind in at_budget} | {("start", 100), (multiplier, 100)}
    widths = {key: row["widths"] for key, row in rows.items()}
    assert widths["uniform", 90] == widths[multiplier, 90] != widths["netadapt", 90]
    assert widths[multiplier, 100] == widths["start", 100]
    netadapt, untaught = rows["netadapt", 90], rows["netadapt untaught", 90]
    assert int(netadapt["steps"]) == round(4 / 3 * int(untaught["steps"])), "a teacher's answers are work, too"
    steps = int(rows[multiplier, 90]["steps"]) + int(rows[multiplier, 90]["steps_before"])
    wanted = int(netadapt["steps"]) + int(netadapt["steps_before"])
    assert abs(steps - wanted) <= EPOCH_STEPS, "the fair fight is not fair"
    assert int(netadapt["steps_before"]) > int(rows["uniform", 90]["steps_before"]) == int(rows["start", 100]["steps"])
    printed = [line for line in result.stdout.splitlines() if line.startswith(("| 90 %", "| 100 %"))]
    assert len(printed) == len(rows)
    assert (tmp_path / "comparison.png").exists()

    again = compare(tmp_path, "--measurings=0")
    assert again.returncode == 0
    assert "Seed" not in again.stderr, "a finished row was trained again"
    assert again.stdout == result.stdout, "the same rows came to something else"

    other = compare(tmp_path, "--percents=80")
    assert other.returncode == 2
    assert "it differs in percents" in other.stderr

    unknown = compare(tmp_path, "--rows=netadapt,magic")
    assert unknown.returncode == 2
    assert "--rows should list some of start, netadapt" in unknown.stderr
