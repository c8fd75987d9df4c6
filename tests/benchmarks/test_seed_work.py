from typing import Any

import numpy as np
import pytest

from benchmarks import seed_work
from benchmarks.compared_rows import Cell, ComparedRows
from benchmarks.comparison_plan import AT_LARGER_RATE, DOUBLED, LARGER_RATE, MULTIPLIER, START
from benchmarks.comparison_problem import Problem
from benchmarks.multipliers import Shapes
from netadapt_tf.settings import Settings


@pytest.mark.parametrize(
    ("kind", "rate"),
    [
        (START, 0.25),
        (START + DOUBLED, 0.25),
        (MULTIPLIER, 0.125),
        (MULTIPLIER + DOUBLED, 0.125),
        (MULTIPLIER + AT_LARGER_RATE, LARGER_RATE),
    ],
)
def test_the_start_learns_at_its_own_rate_and_all_else_at_that_of_the_last_stage(tmp_path, monkeypatch, kind, rate):
    rates = []

    def train(*given: Any, **_: Any) -> None:
        rates.append(given[5])

    monkeypatch.setattr(seed_work, "train", train)
    monkeypatch.setattr(seed_work, "convert", lambda network: network)
    monkeypatch.setattr(seed_work.runtime, "outputs", lambda _, images: np.zeros((len(images), 10)))
    problem = Problem(
        network="mobilenet_v1",
        alpha=0.25,
        resolution=32,
        dataset="fashion_mnist_12k",
        train_images=200,
        holdout_images=100,
        target="host/cpu:1",
        percents=(95,),
        threads=1,
        settings=Settings(pretrain_epochs=1, pretrain_learning_rate=0.25, long_term_learning_rate=0.125),
    )
    rows = ComparedRows(tmp_path)
    with rows.claimed(3):
        seed_work.SeedWork(problem, 3, rows, Shapes(problem, 10, tmp_path), table=None).row(Cell(3, 100, kind))
    assert rates == [rate]
