from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras

from benchmarks import seed_work
from benchmarks.compared_rows import Cell, ComparedRows
from benchmarks.comparison_plan import (
    AT_LARGER_RATE,
    DOUBLED,
    LARGER_RATE,
    LONGER,
    MULTIPLIER,
    NETADAPT,
    REGULARISED,
    REGULARISED_AGAIN,
    START,
)
from benchmarks.comparison_problem import Problem
from benchmarks.comparison_searches import Found
from benchmarks.multipliers import Shapes
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.settings import Settings


@pytest.fixture(autouse=True)
def _nothing_is_converted(monkeypatch):
    monkeypatch.setattr(seed_work, "convert", lambda network: network)
    monkeypatch.setattr(seed_work.runtime, "outputs", lambda _, images: np.zeros((len(images), 10)))


def small_work(folder: Path) -> seed_work.SeedWork:
    """Seed 3 of a comparison of few images."""
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
    (folder / "seed_3").mkdir()
    return seed_work.SeedWork(problem, 3, ComparedRows(folder), Shapes(problem, 10, folder), table=None)


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
    small_work(tmp_path).row(Cell(3, 100, kind))
    assert rates == [rate]


def test_a_last_stage_twice_as_long_is_that_of_the_same_search(tmp_path, monkeypatch):
    stages, searched = [], []

    def train(*given: Any, **_: Any) -> None:
        stages.append(given[4])

    def by_latency(work: seed_work.SeedWork, percent: int) -> Found:
        searched.append(percent)
        start = work._start()
        return Found(start, find_channels(start).widths, 0, 0.0)

    monkeypatch.setattr(seed_work, "train", train)
    monkeypatch.setattr(seed_work.SeedWork, "_by_latency", by_latency)
    work = small_work(tmp_path)
    work.row(Cell(3, 95, NETADAPT + AT_LARGER_RATE))
    work.row(Cell(3, 95, LONGER + AT_LARGER_RATE))
    assert searched == [95, 95]
    _start, usual, longer = stages
    assert longer == 2 * usual


def test_a_regulariser_that_runs_again_keeps_its_networks_apart(tmp_path, monkeypatch):
    folders = []

    def regularised(folder: Path, start: tf_keras.Model, *_: Any) -> Found:
        folders.append(folder)
        return Found(start, find_channels(start).widths, 0, 0.0)

    monkeypatch.setattr(seed_work, "regularised", regularised)
    monkeypatch.setattr(seed_work, "train", lambda *_, **__: None)
    work = small_work(tmp_path)
    for kind in (REGULARISED, REGULARISED_AGAIN):
        work.row(Cell(3, 95, kind))
    assert folders == [tmp_path / "seed_3", tmp_path / "seed_3" / "again"]
