import dataclasses
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.search import contest
from netadapt_tf.search.executors.executor import Bench, Executor
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.executors.processes import Processes
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import Task, classification
from tests.processes import has_ended
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import SETTINGS as UNSCREENED
from tests.tiny_search import corner_datasets, search
from tflite_bench.errors import UserError

SETTINGS = dataclasses.replace(UNSCREENED, short_term_steps=4, screen=True)
TWO_OF = {"processes": Place("processes", workers=2), "ray": Place("ray", workers=2)}
BOTH = pytest.mark.parametrize("name", TWO_OF)


def records(run: RunDirectory) -> list[dict]:
    """The journal, but for how long things took and for which proposal of an iteration was ready first."""
    timeless = [{key: value for key, value in r.items() if key != "wall_s"} for r in run.journal.events()]
    return sorted(timeless, key=lambda r: (r["iteration"], r["event"] == "iteration", r.get("group", "")))


def executor_of(name: str, datasets, task: Task | None = None) -> Executor:
    bench = Bench(datasets, task or classification(network()), SETTINGS)
    if name == "processes":
        return Processes(bench, workers=2)
    from netadapt_tf.search.executors.ray_cluster import RayCluster

    return RayCluster(bench, TWO_OF[name])


def network():
    return tiny_cnn(dropout=0.2)


def searched(path: Path, executor: Executor | None = None):
    """With screening, so that trainings that are under way are handed on."""
    return search(path, corner_datasets(), settings=SETTINGS, network=network(), executor=executor)


@pytest.fixture(scope="module", autouse=True)
def one_survives():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "survivors", lambda proposals: 1)
        yield


@pytest.fixture(scope="module")
def serial(tmp_path_factory, one_survives):
    found, run = searched(tmp_path_factory.mktemp("serial") / "run")
    assert found.iteration > 2, "too few iterations to tell"
    return found, run


def assert_same(found, run, serial) -> None:
    assert records(run) == records(serial[1])
    for a, b in zip(found.network.get_weights(), serial[0].network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def deadly(marker: Path | None) -> Datasets:
    """Kills the process in the second step of a fine-tune: always, or if the marker is not there, which it makes."""
    data = corner_datasets()

    def strike(number: np.ndarray) -> np.ndarray:
        if number == 1 and (marker is None or not marker.exists()):
            if marker is not None:
                marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    def survived(number: tf.Tensor, batch: tuple) -> tuple:
        with tf.control_dependencies([tf.numpy_function(strike, [number], tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    def train(seed: int) -> tf.data.Dataset:
        assert callable(data.train)
        return data.train(seed).enumerate().map(survived)

    return Datasets(train, data.holdout, data.test)


@pytest.mark.slow
@BOTH
def test_a_worker_killed_in_the_middle_of_a_proposal_changes_nothing(tmp_path, serial, name):
    marker = tmp_path / "killed"
    with executor_of(name, partial(deadly, marker)) as executor:
        found, run = searched(tmp_path / "run", executor)
    assert marker.exists(), "nothing was killed"
    assert has_ended(int(marker.read_text()))
    assert_same(found, run, serial)


@pytest.mark.slow
@BOTH
def test_a_proposal_that_kills_each_worker_is_named(tmp_path, name):
    with (
        executor_of(name, partial(deadly, None)) as executor,
        pytest.raises(UserError, match=r"the proposal of (first|second) lost its worker 3 times"),
    ):
        searched(tmp_path / "run", executor)
