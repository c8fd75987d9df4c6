import csv
import shlex
import subprocess
import sys

import pytest

SMALL = (
    "--resolution=32 --dataset=fashion_mnist_12k --train_images=400 --holdout_images=100 --pretrain_epochs=1 "
    "--long_term_epochs=1 --short_term_steps=1 --measurings=1 --budget=latency@host/cpu:1=85%"
)


def compare(output, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.accuracy_vs_latency", *shlex.split(SMALL), f"--output={output}", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=1800)


@pytest.mark.slow
def test_the_comparison_runs_and_goes_on_from_its_rows(tmp_path):
    result = compare(tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert {"start", "netadapt", "netadapt, retrained", "uniform", "multiplier", "multiplier, whole compute"} <= set(
        rows
    )
    assert len(lines) == 2 + len(rows)
    assert rows["uniform"]["widths"] == rows["multiplier"]["widths"] != rows["netadapt"]["widths"]
    whole, usual = (int(rows[name]["steps"]) for name in ("multiplier, whole compute", "multiplier"))
    assert whole > usual
    netadapt = rows["netadapt"]
    assert whole == int(netadapt["steps"]) + int(netadapt["steps_before"]), "the fair fight is not fair"

    again = compare(tmp_path)
    assert again.returncode == 0
    assert "epochs" not in again.stderr, "a finished row was trained again"

    other = compare(tmp_path, "--budget=latency@host/cpu:1=80%")
    assert other.returncode == 2
    assert "it differs in budget" in other.stderr
