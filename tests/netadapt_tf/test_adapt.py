"""The real binary on real data: small here, the README's network among the slow ones."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import tf_keras

from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.training.image_dataset import load_image_dataset
from netadapt_tf.training.stages import evaluate_tflite
from netadapt_tf.training.task import ACCURACY
from tests.tiny_adaptation import QUICK_FLAGS
from tests.tiny_networks import two_convolutions
from tflite_bench.graph import Graph
from tflite_bench.host import HostMeter
from tflite_bench.target import parse_target
from tflite_bench.timing import Pair

TINY = (
    "--network=mobilenet_v1 --alpha=0.25 --resolution=32 --dataset=fashion_mnist_12k --train_images=800 "
    "--holdout_images=200 --pretrain_epochs=2 --batch_size=32 --initial_reduction=0.2 --short_term_steps=2 "
    "--filter_multiple=16 --long_term_epochs=1"
)
DEMO = "--network=mobilenet_v1 --alpha=0.25 --resolution=64 --dataset=fashion_mnist_12k --long_term_epochs=4"


def command(flags: str, **more: object) -> list[str]:
    named = [f"--{name}={value}" for name, value in more.items()]
    return [sys.executable, "-m", "netadapt_tf.adapt", *shlex.split(flags), *named]


def adapt(flags: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(flags, **more), capture_output=True, text=True, timeout=1800)


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
    test = load_image_dataset("fashion_mnist_12k", resolution, 100, None, 0).datasets(128, "tf").test
    assert summary["accuracy"]["before"] == evaluate_tflite(start.read_bytes(), ACCURACY, test)
    assert summary["accuracy"]["after"] == evaluate_tflite(adapted.read_bytes(), ACCURACY, test)
    network = load_network(run_dir / "adapted.keras")
    last = run_dir / "iterations" / f"{summary['iterations']:03d}"
    assert json.loads((last / "widths.json").read_text()) == find_channels(network).widths
    assert summary["parameters"]["after"] == network.count_params()
    assert summary["tflite_bytes"]["after"] == adapted.stat().st_size
    graph = Graph(adapted.read_bytes())
    assert graph.shape(graph.inputs[0]) == (1, resolution, resolution, 3)
    assert {"command", "seed", "versions", "target", "latency_ms", "macs", "wall_s"} <= summary.keys()
    return summary


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    """Flags for a network of two convolutions, which is adapted in seconds."""
    network = tmp_path_factory.mktemp("small") / "net.keras"
    two_convolutions().save(network)
    return shlex.join([*QUICK_FLAGS, f"--network={network}"])


def test_a_network_of_two_convolutions_is_adapted_to_what_is_measured_here(small, tmp_path):
    result = adapt(small, budget="latency@host/cpu:1=60%", run_dir=tmp_path / "run")
    table = succeeded(result)
    strange = [line for line in result.stderr.splitlines() if not re.match(r"\d\d:\d\d:\d\d ", line)]
    assert not strange, "only our own lines, and nothing of TensorFlow's start"
    assert check_delivery(tmp_path / "run", at_most=0.7, resolution=32)["budgets"][0]["met"]
    assert "budget latency@host/cpu:1=60%: met" in table


@pytest.mark.slow
def test_a_dry_run_says_what_would_be_done_and_trains_nothing(tmp_path):
    run_dir, table = tmp_path / "run", tmp_path / "table.sqlite"
    text = succeeded(adapt(TINY, budget="latency@host/cpu:1=70%", run_dir=run_dir, table=table, dry_run=True))
    assert not run_dir.exists()
    for line in (
        "  conv_pw_3: 32 filters",
        "    read by conv_pw_4",
        "locked: predictions (Activation) mixes them",
        "DEPTHWISE_CONV_2D  conv_dw_13",
        "budget latency@host/cpu:1=70%: can be met; now ",
        "least reachable ",
    ):
        assert line in text
    assert re.search(r"about \d+ iterations of \d+ proposals, .* in all: pre-training ", text)
    with closing(sqlite3.connect(table)) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone()[0] > 50


@pytest.mark.slow
def test_a_budget_already_met_is_said_and_the_start_delivered(small, tmp_path):
    run_dir = tmp_path / "run"
    result = adapt(small, budget="macs=100%", run_dir=run_dir)
    assert "within budget already" in succeeded(result)
    assert "within budget already" in result.stderr
    assert (run_dir / "adapted.tflite").read_bytes() == (run_dir / "start.tflite").read_bytes()
    assert (run_dir / "adapted.keras").exists()
    assert json.loads((run_dir / "summary.json").read_text())["iterations"] == 0


@pytest.mark.slow
def test_interrupted_it_says_how_to_go_on(small, tmp_path):
    run_dir = tmp_path / "run"
    flags = {"budget": "macs=50%", "run_dir": run_dir}
    process = subprocess.Popen(command(small, **flags), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (run_dir / "start.tflite").exists():
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted. The same command goes on from what was finished." in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_the_demo_meets_its_budget(tmp_path):
    run_dir = tmp_path / "demo"
    budget = "latency@host/cpu:1=92%"
    begin = time.monotonic()
    table = succeeded(adapt(DEMO, budget=budget, run_dir=run_dir))
    wall_s = time.monotonic() - begin
    summary = check_delivery(run_dir, at_most=0.95, resolution=64)
    assert summary["iterations"] >= 1
    assert summary["budgets"][0]["met"]
    assert summary["accuracy"]["before"] > 0.8
    assert summary["accuracy"]["after"] > summary["accuracy"]["before"] - 0.03
    *parts, total_s = summary["wall_s"].values()
    assert sum(parts) == pytest.approx(total_s, abs=1.0)
    assert 0.5 * wall_s < total_s < wall_s, "time was counted twice, or not at all"
    assert summary["macs"]["after"] < summary["macs"]["before"]
    for line in ("accuracy", "latency", "predicted", "MACs", "parameters", "file size", "adapted.tflite", budget):
        assert line in table

    again = adapt(DEMO, budget=budget, run_dir=run_dir)
    assert succeeded(again) == table
    assert "is finished" in again.stderr

    other = adapt(DEMO, budget=budget, run_dir=run_dir, seed=5)
    assert other.returncode == 2
    assert "seed (there 0, now 5)" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.slow
def test_killed_and_called_again_it_goes_on(small, tmp_path):
    run_dir = tmp_path / "run"
    flags = {"budget": "macs=70%", "run_dir": run_dir}
    process = subprocess.Popen(command(small, **flags), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    journal = run_dir / "journal.jsonl"
    deadline = time.monotonic() + 300
    while not (journal.exists() and '"iteration": 1, "picked"' in journal.read_text()):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = journal.read_text()
    resumed = adapt(small, **flags)
    succeeded(resumed)
    assert "Going on after iteration" in resumed.stderr
    assert journal.read_text().startswith(before.rpartition("\n")[0])
    reached = json.loads((run_dir / "summary.json").read_text())["iterations"]

    succeeded(adapt(small, budget="macs=45%", run_dir=run_dir))
    lower = json.loads((run_dir / "summary.json").read_text())
    assert lower["budgets"][0]["met"]
    assert lower["iterations"] > reached
    assert lower["macs"]["after"] <= 0.45 * lower["macs"]["before"]


@pytest.mark.slow
def test_a_network_of_keras_applications_from_a_file(tmp_path):
    network = tf_keras.applications.MobileNet((32, 32, 3), 0.25, weights=None, classes=10)
    network.save(tmp_path / "theirs.h5")
    flags = TINY.replace("--network=mobilenet_v1", f"--network={tmp_path / 'theirs.h5'}")
    for flag in ("--alpha=0.25 ", "--resolution=32 ", "--pretrain_epochs=2 "):
        flags = flags.replace(flag, "")
    succeeded(adapt(flags, budget="parameters=85%", run_dir=tmp_path / "run", pick="best_ratio"))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["parameters"]["before"] == network.count_params()
    assert summary["parameters"]["after"] <= 0.85 * network.count_params()
    assert summary["wall_s"].get("pretrain") is None
