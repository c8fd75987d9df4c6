"""The real binary on real data: small here, the README's own command among the slow ones."""

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tf_keras

from netadapt_tf.networks.channel_groups import find_channel_groups, widths_of
from netadapt_tf.networks.files import load_network
from netadapt_tf.training.datasets import load_dataset
from netadapt_tf.training.stages import tflite_accuracy
from tflite_bench.graph import Graph
from tflite_bench.host import HostMeter
from tflite_bench.target import parse_target
from tflite_bench.timing import Pair

TINY = (
    "--network=mobilenet_v1 --alpha=0.25 --resolution=32 --dataset=fashion_mnist_12k --train_images=800 "
    "--holdout_images=200 --pretrain_epochs=2 --batch_size=32 --initial_reduction=0.2 --short_term_steps=2 "
    "--long_term_epochs=1"
)
DEMO = "--network=mobilenet_v1 --alpha=0.25 --resolution=64 --dataset=fashion_mnist_12k"


def command(flags: str, **more: object) -> list[str]:
    named = [f"--{name}={value}" for name, value in more.items()]
    return [sys.executable, "-m", "netadapt_tf.adapt", *shlex.split(flags), *named]


def adapt(flags: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(flags, **more), capture_output=True, text=True, timeout=900)


def succeeded(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def check_delivery(run_dir: Path, at_most: float, resolution: int) -> dict:
    """That what was delivered is what the summary says; measured anew."""
    summary = json.loads((run_dir / "summary.json").read_text())
    start, adapted = (run_dir / f"{name}.tflite" for name in ("start", "adapted"))
    with HostMeter(parse_target("host/cpu:1")) as meter:
        compared = meter.compare(Pair(start.read_bytes(), adapted.read_bytes()))
    assert compared.ratio <= at_most
    (budget,) = summary["budgets"]
    assert budget["met"] == (budget["reached"] <= budget["asked"])
    test = load_dataset("fashion_mnist_12k", resolution, 100, None, 0).test
    assert summary["accuracy"]["before"] == tflite_accuracy(start.read_bytes(), test, "tf")
    assert summary["accuracy"]["after"] == tflite_accuracy(adapted.read_bytes(), test, "tf")
    network = load_network(run_dir / "adapted.keras")
    last = run_dir / "iterations" / f"{summary['iterations']:03d}"
    assert json.loads((last / "widths.json").read_text()) == widths_of(find_channel_groups(network))
    assert summary["parameters"]["after"] == network.count_params()
    assert summary["tflite_bytes"]["after"] == adapted.stat().st_size
    graph = Graph(adapted.read_bytes())
    assert graph.shape(graph.inputs[0]) == (1, resolution, resolution, 3)
    assert {"command", "seed", "versions", "target", "latency_ms", "macs", "wall_s"} <= summary.keys()
    return summary


def test_a_tiny_adaptation_from_start_to_end(tmp_path):
    run_dir = tmp_path / "run"
    budget = "latency@host/cpu:1=70%"
    begin = time.monotonic()
    table = succeeded(adapt(TINY, budget=budget, run_dir=run_dir))
    wall_s = time.monotonic() - begin
    summary = check_delivery(run_dir, at_most=0.8, resolution=32)
    assert summary["iterations"] >= 1
    assert summary["budgets"][0]["met"]
    *parts, total_s = summary["wall_s"].values()
    assert sum(parts) == pytest.approx(total_s, abs=1.0)
    assert 0.5 * wall_s < total_s < wall_s, "time was counted twice, or not at all"
    assert summary["macs"]["after"] < summary["macs"]["before"]
    for line in ("accuracy", "latency", "predicted", "MACs", "parameters", "file size", "adapted.tflite", budget):
        assert line in table

    again = adapt(TINY, budget=budget, run_dir=run_dir)
    assert succeeded(again) == table
    assert "is finished" in again.stderr

    other = adapt(TINY, budget=budget, run_dir=run_dir, seed=5)
    assert other.returncode == 2
    assert "--seed (there 0, now 5)" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--budget=latency@host/cpu:1=fast --run_dir=x", "latency@host/cpu:1=60%"),
        ("--budget=macs=50% --run_dir=x --network=resnet.keras", "no file resnet.keras"),
        ("--run_dir=x", "--budget"),
    ],
)
def test_mistakes_get_one_sentence(flags, said, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    result = subprocess.run(command(flags), capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_demo_meets_its_budget(tmp_path):
    run_dir = tmp_path / "demo"
    succeeded(adapt(DEMO, budget="latency@host/cpu:1=60%", run_dir=run_dir))
    summary = check_delivery(run_dir, at_most=0.61, resolution=64)
    assert summary["budgets"][0]["met"]
    assert summary["accuracy"]["before"] > 0.8
    assert summary["accuracy"]["after"] > summary["accuracy"]["before"] - 0.03


@pytest.mark.slow
def test_killed_and_called_again_it_goes_on(tmp_path):
    run_dir = tmp_path / "run"
    flags = {"budget": "macs=70%", "run_dir": run_dir}
    process = subprocess.Popen(command(TINY, **flags), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = run_dir / "journal.jsonl"
    deadline = time.monotonic() + 300
    while not (journal.exists() and '"iteration": 1, "picked"' in journal.read_text()):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal.read_text()
    resumed = adapt(TINY, **flags)
    succeeded(resumed)
    assert "Going on after iteration" in resumed.stderr
    assert journal.read_text().startswith(before.rpartition("\n")[0])
    reached = json.loads((run_dir / "summary.json").read_text())["iterations"]

    succeeded(adapt(TINY, budget="macs=60%", run_dir=run_dir))
    lower = json.loads((run_dir / "summary.json").read_text())
    assert lower["budgets"][0]["met"]
    assert lower["iterations"] > reached
    assert lower["macs"]["after"] <= 0.6 * lower["macs"]["before"]


@pytest.mark.slow
def test_a_network_of_keras_applications_from_a_file(tmp_path):
    network = tf_keras.applications.MobileNet((32, 32, 3), 0.25, weights=None, classes=10)
    network.save(tmp_path / "theirs.h5")
    flags = TINY.replace("--network=mobilenet_v1", f"--network={tmp_path / 'theirs.h5'}")
    for flag in ("--alpha=0.25 ", "--resolution=32 ", "--pretrain_epochs=2 "):
        flags = flags.replace(flag, "")
    succeeded(adapt(flags, budget="parameters=60%", run_dir=tmp_path / "run", pick="best_ratio"))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["parameters"]["before"] == network.count_params()
    assert summary["parameters"]["after"] <= 0.6 * network.count_params()
    assert summary["wall_s"].get("pretrain") is None
