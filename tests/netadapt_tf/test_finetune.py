"""The real binary, on a run that the real binary has made."""

import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netadapt_tf.search.journal import Journal
from netadapt_tf.training.image_dataset import load_image_dataset
from netadapt_tf.training.stages import evaluate_tflite
from netadapt_tf.training.task import ACCURACY
from tests.clusters import both
from tests.tiny_networks import two_convolutions
from tflite_bench.host import HostMeter
from tflite_bench.target import parse_target
from tflite_bench.timing import Pair

FLAGS = (
    "--dataset=fashion_mnist_12k --train_images=600 --holdout_images=100 --batch_size=50 --short_term_steps=1 "
    "--long_term_epochs=4 --filter_multiple=16 --initial_reduction=0.15"
)
BUDGET = "--budget=latency@host/cpu:1=50%"


def command(module: str, *flags: object) -> list[str]:
    return [sys.executable, "-m", f"netadapt_tf.{module}", *map(str, flags)]


def called(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*map(str, arguments)), capture_output=True, text=True, timeout=1800)


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("searched")
    two_convolutions().save(folder / "net.keras")
    flags = [f"--network={folder / 'net.keras'}", *shlex.split(FLAGS), BUDGET, f"--run_dir={folder / 'run'}"]
    result = called("adapt", *flags)
    assert result.returncode == 0, result.stderr
    (folder / "net.keras").unlink()
    return folder / "run"


@pytest.mark.slow
def test_two_iterations_are_delivered_and_are_what_is_measured_here(searched, tmp_path):
    run_dir = Path(shutil.copytree(searched, tmp_path / "run"))
    result = called("finetune", f"--run_dir={run_dir}", "--iteration=1", "--iteration=2")
    assert result.returncode == 0, result.stderr
    test = load_image_dataset("fashion_mnist_12k", 32, 100, 600, 0).datasets(50, "tf").test
    for iteration in (1, 2):
        folder = run_dir / "family" / f"{iteration:03d}"
        summary = json.loads((folder / "summary.json").read_text())
        tflite = (folder / "adapted.tflite").read_bytes()
        assert summary["accuracy"]["after"] == evaluate_tflite(tflite, ACCURACY, test)
        assert summary["command"].startswith("python -m netadapt_tf.finetune --run_dir=")
        with HostMeter(parse_target("host/cpu:1")) as meter:
            compared = meter.compare(Pair((run_dir / "start.tflite").read_bytes(), tflite))
        latency = summary["latency_ms"]["host/cpu:1"]
        assert compared.ratio == pytest.approx(latency["after"] / latency["before"], rel=0.15)
        assert f"{latency['after']:.4f}" in result.stdout
        assert str(folder) in result.stdout
    again = called("finetune", f"--run_dir={run_dir}", "--iteration=2", "--iteration=1")
    assert again.stdout == result.stdout
    assert "is finished" in again.stderr


@pytest.mark.slow
def test_killed_in_its_fine_tune_it_goes_on_and_ends_as_undisturbed(searched, tmp_path):
    whole, parts = (Path(shutil.copytree(searched, tmp_path / name)) for name in ("whole", "parts"))
    flags = ["--iteration=1", "--epochs=30"]
    assert called("finetune", f"--run_dir={whole}", *flags).returncode == 0
    process = subprocess.Popen(
        command("finetune", f"--run_dir={parts}", *flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not (parts / "family" / "001" / "long-term.checkpoint.npz").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (parts / "family" / "001" / "adapted.keras").exists(), "it was killed too late to tell anything"
    resumed = called("finetune", f"--run_dir={parts}", *flags)
    assert resumed.returncode == 0, resumed.stderr
    assert "Going on after epoch" in resumed.stderr
    contents = [(run / "family" / "001" / "adapted.tflite").read_bytes() for run in (whole, parts)]
    assert contents[0] == contents[1]


@pytest.mark.slow
def test_a_budget_and_the_curve(searched, tmp_path):
    run_dir = Path(shutil.copytree(searched, tmp_path / "run"))
    result = called("finetune", f"--run_dir={run_dir}", "--budget=latency@host/cpu:1=75%")
    assert result.returncode == 0, result.stderr
    assert "budget latency@host/cpu:1=75%: met by iteration" in result.stdout
    last = list(Journal(run_dir / "journal.jsonl").events("iteration"))[-1]["iteration"]
    curve = called("finetune", f"--run_dir={run_dir}", "--pareto=2")
    assert curve.returncode == 0, curve.stderr
    assert (run_dir / "family" / f"{last:03d}" / "adapted.tflite").exists()


@pytest.mark.slow
def test_what_cannot_be_ends_with_one_sentence(searched, tmp_path):
    for flags, said in (
        (["--iteration=99"], "has no iteration 99; it has those from 0, the start, to "),
        (["--budget=latency@host/cpu:1=1%"], "goes on with the search, given latency@host/cpu:1=1%"),
    ):
        result = called("finetune", f"--run_dir={searched}", *flags)
        assert result.returncode == 2
        assert said in result.stderr
        assert "Traceback" not in result.stderr
    assert not (searched / "family").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "one of --iteration, --budget and --pareto says which networks; none is given"),
        (["--iteration=1", "--pareto=2"], "--iteration and --pareto are given"),
        (["--iteration=1"], "is no run directory"),
    ],
)
def test_a_wrong_command_is_refused_at_once(tmp_path, flags, said):
    result = called("finetune", f"--run_dir={tmp_path}", *flags)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_on_two_machines_the_second_trains_along(tmp_path):
    run_dir = tmp_path / "run"
    two_convolutions().save(tmp_path / "net.keras")
    flags = [f"--network={tmp_path / 'net.keras'}", *shlex.split(FLAGS), f"--run_dir={run_dir}"]
    adapting, _ = both(command("adapt", *flags, "--strategy=multi_worker", "--threads=1", "--budget=macs=90%"))
    assert adapting.returncode == 0, adapting.stderr
    chief, follower = both(command("finetune", f"--run_dir={run_dir}", "--iteration=1", "--epochs=2"))
    assert chief.returncode == 0, chief.stderr
    assert (run_dir / "family" / "001" / "adapted.tflite").exists()
    assert follower.returncode == 0, follower.stderr
    assert "Trained 1 stages along with the chief" in follower.stderr
