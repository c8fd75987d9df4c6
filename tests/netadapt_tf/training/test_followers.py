"""Two processes of this machine, one of which follows the other."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.clusters import both

Weights = Callable[[str], list[np.ndarray]]


def ends(folder: Path, scenario: str) -> list:
    return both([sys.executable, "-m", "tests.two_machines", str(folder), scenario])


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Weights:
    folder = tmp_path_factory.mktemp("two_machines")
    chief, follower = ends(folder, "whole")
    assert chief.returncode == 0, chief.stderr
    assert follower.returncode == 0, follower.stderr
    assert follower.stdout == "stages: 3\n"

    def read(name: str) -> list[np.ndarray]:
        with np.load(folder / f"{name}.npz") as file:
            return [file[key] for key in file.files]

    return read


def test_two_machines_come_to_what_one_comes_to_but_for_rounding(weights):
    for start, one, two in zip(weights("start"), weights("one"), weights("two"), strict=True):
        assert np.abs(one - start).max() > 1e-3
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


def test_a_stage_that_goes_on_after_its_first_epoch_ends_as_one_that_was_not_interrupted(weights):
    """Batch norm's statistics and the draws of dropout, which differ between machines, included."""
    for one, other in zip(weights("random"), weights("resumed"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "of_chief", "of_follower"),
    [
        ("other data", "went away", "has 3 batches, and one here 2; the same command, with the same data"),
        ("chief lost", None, "or another machine went away; the same commands go on from its last finished epoch"),
        ("follower lost", "went away; the same commands go on from the last finished epoch", None),
    ],
)
def test_a_machine_that_is_lost_is_named(tmp_path, scenario, of_chief, of_follower):
    for end, said in zip(ends(tmp_path, scenario), (of_chief, of_follower), strict=True):
        if said is None:
            assert end.returncode == -9
        else:
            assert end.returncode == 1
            assert said in end.stderr.splitlines()[-1], end.stderr
