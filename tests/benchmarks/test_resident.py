import shlex

import pytest

from benchmarks.resident import growth, resident_mib
from tflite_bench.errors import UserError

SMALL = (
    "--alpha=0.25 --resolution=32 --dataset=fashion_mnist_12k --train_images=300 --holdout_images=50 "
    "--pretrain_epochs=0 --short_term_steps=0"
)


def test_growth_is_from_one_iteration_to_another():
    assert growth({1: 100.0, 3: 200.0, 20: 210.0}, 3, 20) == pytest.approx(0.05)


@pytest.mark.slow
def test_a_search_is_watched_until_it_has_done_enough(tmp_path):
    by_iteration = resident_mib(shlex.split(f"{SMALL} --budget=macs=60%"), tmp_path / "run", 2)
    assert list(by_iteration) == [1, 2]
    assert all(100 < mib < 10_000 for mib in by_iteration.values())


@pytest.mark.slow
def test_a_search_that_ends_too_early_is_said(tmp_path):
    with pytest.raises(UserError, match=r"ended after 0 iterations: (?s:.)*budget"):
        resident_mib(["--budget=nonsense"], tmp_path / "run", 2)
