"""Two processes of this machine, one of which follows the other."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.clusters import both
from tests.two_replicas import kept

Weights = Callable[[str], list[np.ndarray]]


def ends(folder: Path, scenario: str) -> list:
    return both([sys.executable, "-m", "tests.two_machines", str(folder), scenario])


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Weights:
    folder = tmp_path_factory.mktemp("two_machines")
    chief, follower = ends(folder, "whole")
    assert chief.returncode == 0, chief.stderr
    assert follower.returncode == 0, follower.stderr
    assert follower.stdout == "stages: 4\n"
    return partial(kept, folder)


@pytest.mark.slow
@pytest.mark.parametrize("taught", ["", "taught_"])
def test_two_machines_come_to_what_one_comes_to_but_for_rounding(weights, taught):
    for start, one, two in zip(weights("start"), weights(taught + "one"), weights(taught + "two"), strict=True):
        assert np.abs(one - start).max() > 1e-3
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_stage_that_goes_on_after_its_first_epoch_ends_as_one_that_was_not_interrupted(weights):
    """Batch norm's statistics and the draws of dropout, which differ between machines, included."""
    for one, other in zip(weights("random"), weights("resumed"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "of_chief", "of_follower"),
    [
        (
            "fewer images",
            "have lost each other",
            "not the chief's (2 batches an epoch, the chief has 3); the same command",
        ),
        (
            "other images",
            "have lost each other",
            "not the chief's (3 batches an epoch, the chief has 3); the same command",
        ),
        ("chief lost", None, "have lost each other (UnavailableError); the same commands go on from the last finished"),
        ("follower lost", "have lost each other (UnavailableError); the same commands go on from the last", None),
        ("follower fails", "have lost each other (UnavailableError)", "InternalError: no kernel"),
    ],
)
def test_a_machine_that_is_lost_is_named(tmp_path, scenario, of_chief, of_follower):
    for end, said in zip(ends(tmp_path, scenario), (of_chief, of_follower), strict=True):
        if said is None:
            assert end.returncode == -9
        else:
            assert end.returncode == 1
            assert said in end.stderr
            assert ("have lost each other" in end.stderr) == ("have lost each other" in said)


@pytest.mark.slow
def test_a_follower_that_is_lost_after_its_last_stage_does_not_matter(tmp_path):
    chief, follower = ends(tmp_path, "follower lost in the end")
    assert (chief.returncode, follower.returncode) == (0, -9), chief.stderr
    assert "A machine went away before the end" in chief.stderr
    assert (tmp_path / "resumed.npz").exists()


@pytest.mark.slow
def test_what_the_chief_refuses_is_said_though_its_follower_is_gone(tmp_path):
    chief, _ = ends(tmp_path, "refused, follower lost")
    assert chief.returncode == 1
    assert "Error: the real reason" in chief.stderr
