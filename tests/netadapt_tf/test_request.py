from dataclasses import replace
from pathlib import Path

import pytest

from netadapt_tf.request import Request
from netadapt_tf.settings import Settings

REQUEST = Request(
    network="mobilenet_v1",
    alpha=0.25,
    resolution=64,
    weights=None,
    dataset="fashion_mnist_12k",
    budgets=(),
    run_dir=Path("run"),
    table=None,
    benchmark_models=(),
    table_only=False,
    preprocessing="tf",
    augmentation="none",
    batch_size=128,
    holdout_images=None,
    train_images=None,
    threads=2,
    allow_lambda=False,
    trust_saved_model=False,
    settings=Settings(),
)


def test_everything_that_changes_results_is_part_of_what_is_asked_and_defaults_are_spelled_out():
    assert REQUEST.identity() == {
        "network": "mobilenet_v1",
        "alpha": 0.25,
        "resolution": 64,
        "weights": None,
        "dataset": "fashion_mnist_12k",
        "preprocessing": "tf",
        "augmentation": "none",
        "batch_size": 128,
        "holdout_images": 2000,
        "train_images": None,
        "threads": 2,
    }


@pytest.mark.parametrize("change", [{"augmentation": "flip"}, {"augmentation": "imagenet"}, {"holdout_images": 100}])
def test_what_changes_results_makes_another_run(change):
    assert replace(REQUEST, **change).identity() != REQUEST.identity()
