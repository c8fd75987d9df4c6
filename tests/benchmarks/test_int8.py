"""The comparison of searches in int8 and in float32, run small."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = [
    "--resolution=32",
    "--dataset=fashion_mnist_12k",
    "--train_images=300",
    "--holdout_images=100",
    "--pretrain_epochs=1",
    "--long_term_epochs=1",
    "--short_term_steps=0",
    "--quantization_aware_epochs=1",
    "--percent=90",
    "--seeds=0",
    "--measurings=1",
]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.int8", *QUICK, f"--output={folder}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500)


@pytest.mark.slow
def test_both_searches_end_as_fast_and_finished_rows_stay(tmp_path):
    first = run(tmp_path)
    assert first.returncode == 0, first.stderr
    kept = (tmp_path / "rows.csv").read_text()
    rows = list(csv.DictReader(kept.splitlines()))
    assert [row["row"] for row in rows] == ["start", "searched in int8", "searched in float32"]
    assert all(0 <= float(row[kind]) <= 1 for row in rows for kind in ("float32", "int8", "int8_aware"))
    assert len({row["widths"] for row in rows}) >= 2
    assert "| 0 | searched in float32 |" in first.stdout
    assert "int8_aware: searched in int8 less searched in float32" in first.stdout
    again = run(tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "rows.csv").read_text() == kept
    assert "pre-training" not in again.stderr
