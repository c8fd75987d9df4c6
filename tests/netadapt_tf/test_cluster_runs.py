"""The command on two machines, both of them this one, at once."""

import subprocess
import sys

import pytest

from tests.clusters import both

COMMAND = [
    *(sys.executable, "-m", "netadapt_tf.adapt", "--strategy=multi_worker", "--threads=1"),
    *("--network=mobilenet_v1", "--alpha=0.25", "--resolution=32", "--dataset=fashion_mnist_12k"),
    *("--train_images=600", "--holdout_images=100", "--pretrain_epochs=1", "--short_term_steps=2"),
    *("--long_term_epochs=1", "--budget=macs=95%"),
]


@pytest.mark.slow
def test_the_chief_adapts_and_its_follower_trains_along(tmp_path):
    command = [*COMMAND, f"--run_dir={tmp_path}"]
    chief, follower = both(command)
    assert chief.returncode == 0, chief.stderr
    assert "budget macs=95%: met" in chief.stdout
    assert follower.returncode == 0, follower.stderr
    assert "Trained 2 stages along with the chief" in follower.stderr
    assert "retracing" not in chief.stderr + follower.stderr

    again, idle = both(command)
    assert "budget macs=95%: met" in again.stdout
    assert "Trained 0 stages" in idle.stderr


@pytest.mark.slow
def test_a_dry_run_waits_for_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    result = subprocess.run([*COMMAND, "--dry_run", f"--run_dir={tmp_path}"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "macs" in result.stdout


@pytest.mark.slow
def test_what_the_chief_refuses_ends_its_follower_too(tmp_path):
    chief, follower = both([*COMMAND, "--budget=parameters=1", f"--run_dir={tmp_path}"])
    assert (chief.returncode, follower.returncode) == (2, 0)
    assert "Error: " in chief.stderr
    assert "Trained 0 stages" in follower.stderr
