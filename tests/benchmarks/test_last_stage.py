import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from benchmarks import last_stage
from benchmarks.last_stage import LastStages
from netadapt_tf.identity import run_identity
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.files import save_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.request import Request
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.settings import Settings
from netadapt_tf.training.task import ACCURACY
from netadapt_tf.training.teacher import Teacher
from tests.benchmarks.test_binaries import call
from tflite_bench.errors import UserError

V1 = NETWORKS["mobilenet_v1"]


@pytest.fixture
def searched(tmp_path) -> Path:
    """As much of a run as the last stage reads: what was asked, the start, and what the search ended with."""
    run_dir: Path = tmp_path / "small"
    for iteration, alpha in enumerate([0.25, 0.125]):
        folder = run_dir / "iterations" / f"{iteration:03d}"
        folder.mkdir(parents=True)
        save_network(V1.build(V1.widths(alpha), 32, 10), folder / "network.keras")
    request = Request(
        network="mobilenet_v1",
        alpha=0.25,
        resolution=32,
        weights=None,
        dataset="fashion_mnist_12k",
        budgets=parse_budgets(["macs=50%"]),
        run_dir=run_dir,
        table=None,
        benchmark_models=(),
        table_only=False,
        preprocessing="tf",
        augmentation="none",
        batch_size=50,
        holdout_images=100,
        train_images=200,
        threads=1,
        allow_lambda=False,
        trust_saved_model=False,
        settings=Settings(long_term_epochs=2),
    )
    config = run_identity(None, request.identity(), request.settings, None, ACCURACY, request.table_only)
    about = {**config, "hash": "", "budgets": [budget.text for budget in request.budgets]}
    (run_dir / "config.json").write_text(json.dumps(about))
    return run_dir


@pytest.fixture
def trained(monkeypatch) -> list[dict[str, Any]]:
    """What trainings were asked for; none is done, and all images are taken to be of class 0."""
    asked: list[dict[str, Any]] = []

    def train(network: tf_keras.Model, *given: Any, teacher: Teacher) -> None:
        widths = find_channels(network).widths
        asked.append({"widths": widths, "seed": given[2], "epochs": given[3], "rate": given[4], "share": teacher.share})

    monkeypatch.setattr(last_stage, "train", train)
    monkeypatch.setattr(last_stage, "convert", lambda network: network)
    monkeypatch.setattr(last_stage.runtime, "outputs", lambda _, images: np.eye(1, 10).repeat(len(images), 0))
    return asked


def test_the_stage_is_that_of_the_run_s_search_but_for_rate_and_order(searched, trained, tmp_path):
    LastStages(tmp_path, None).do(searched, 7, 0.25)
    assert trained == [{"widths": V1.widths(0.125), "seed": 7, "epochs": 2, "rate": 0.25, "share": 0.5}]


def test_a_finished_row_is_not_done_again(searched, trained, tmp_path):
    for rate in (0.25, 0.5, 0.25):
        LastStages(tmp_path, None).do(searched, 7, rate)
    LastStages(tmp_path, None).do(searched, 8, 0.25)
    assert [(one["seed"], one["rate"]) for one in trained] == [(7, 0.25), (7, 0.5), (8, 0.25)]


def test_rates_are_compared_over_all_runs_and_seeds(searched, trained, tmp_path):
    stages = LastStages(tmp_path, None)
    for seed, rate in itertools.product((7, 8), (0.25, 0.5)):
        stages.do(searched, seed, rate)
        np.save(tmp_path / "right" / f"small_{seed}_{rate}.npy", np.packbits(np.arange(2000) < 1000 + 2000 * rate))
    first, other = stages.compared([searched], [7, 8], [0.25, 0.5]).splitlines()
    assert first == "small: from a rate of 0.25 75.00%"
    assert re.match(r"  from 0\.5 100\.00%; points more: \+25\.00 \(\+2[34]\.\d+ to \+2[56]\.\d+\)", other)


def test_a_test_split_may_be_that_of_another_data_set(searched, trained, tmp_path):
    with pytest.raises(UserError, match="nothing"):
        LastStages(tmp_path, f"folder:{tmp_path}/nothing").do(searched, 7, 0.25)


def test_a_run_without_a_search_has_no_last_stage(searched, trained, tmp_path):
    (searched / "iterations" / "001" / "network.keras").unlink()
    with pytest.raises(UserError, match="holds no iteration"):
        LastStages(tmp_path, None).do(searched, 7, 0.25)


@pytest.mark.slow
def test_the_binary_does_what_it_says(tmp_path):
    run_dir, output = tmp_path / "small", tmp_path / "rates"
    small = ["--alpha=0.25", "--resolution=32", "--train_images=300", "--holdout_images=100"]
    short = ["--pretrain_epochs=1", "--short_term_steps=1", "--long_term_epochs=1", "--budget=macs=97%"]
    call("netadapt_tf.adapt", "--network=mobilenet_v1", *small, *short, f"--run_dir={run_dir}")
    printed = call("benchmarks.last_stage_rates", f"--run_dir={run_dir}", "--seeds=1", f"--output={output}")
    assert printed.startswith("small: from a rate of 0.05 ")
    assert len((output / "rows.csv").read_text().splitlines()) == 3
