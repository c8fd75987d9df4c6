"""Adapting a network to this machine's CPU and to its GPU at once; the GPU is a software driver."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_adaptation import QUICK_FLAGS
from tests.tiny_networks import two_convolutions

CPU, GPU = "host/cpu:1", "host/gpu"
SEARCH = [*QUICK_FLAGS, "--network=net.keras", "--table=table.sqlite", "--run_dir=run"]

pytestmark = pytest.mark.usefixtures("software_gpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the binaries run: a network with two groups that can shrink."""
    two_convolutions(resolution=16).save(tmp_path / "net.keras")
    return tmp_path


def call(module: str, *flags: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", module, *flags], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.slow
def test_budgets_on_cpu_and_gpu_are_both_met_by_measurement(folder):
    flags = [*SEARCH, f"--budget=latency@{CPU}=85%", f"--budget=latency@{GPU}=90%", "--filter_multiple=32"]
    result = call("netadapt_tf.adapt", *flags, folder=folder)
    assert result.returncode == 0, result.stderr
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert [budget["met"] for budget in summary["budgets"]] == [True, True], result.stdout
    assert summary["latency_is_from"] == "measurement"
    assert summary["target"][GPU]["driver_kind"] == "software"
    assert "host/gpu: SwiftShader Device (Subzero) is a software driver" in result.stdout
    events = [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]
    [checked] = [event for event in events if event["event"] == "estimates"]
    assert checked["target"] == GPU
    shown = call("tflite_bench.show_table", f"--target={GPU}", "--table=table.sqlite", folder=folder).stdout
    assert shown.startswith("host/gpu (software driver): ")
    assert "driver: SwiftShader" in shown


def test_int8_is_refused_for_a_gpu_before_anything_is_trained(folder):
    flags = [*SEARCH, "--precision=int8", f"--budget=latency@{GPU}=80%"]
    result = call("netadapt_tf.adapt", *flags, folder=folder)
    assert result.returncode == 2
    assert (
        "target host/gpu does not run networks of precision int8: its delegate takes float32, float16" in result.stderr
    )
