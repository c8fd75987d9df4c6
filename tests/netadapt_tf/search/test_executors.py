import dataclasses
import multiprocessing
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.search import contest
from netadapt_tf.search.executors import processes
from netadapt_tf.search.executors.executor import Bench, Executor
from netadapt_tf.search.executors.opening import check_sendable, opened
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.executors.processes import Processes
from netadapt_tf.search.executors.retries import Queue
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.search.short_term import Portion
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.image_dataset import ImageDataset
from netadapt_tf.training.task import Task, classification
from tests.endless_search import WORKERS
from tests.processes import has_ended
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import SETTINGS as UNSCREENED
from tests.tiny_search import corner_datasets, corner_images, search
from tflite_bench.errors import UserError

SETTINGS = dataclasses.replace(UNSCREENED, short_term_steps=4, screen=True)
PATIENCE_S = 100.0
TWO_OF = {"processes": Place("processes", workers=2), "ray": Place("ray", workers=2)}


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


def deadly(images: ImageDataset, marker: Path | None) -> Datasets:
    """Kills the process in the second step of a fine-tune: always, or if the marker is not there, which it makes."""
    data = images.datasets(16, "tf")

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
@pytest.mark.parametrize("name", TWO_OF)
def test_a_worker_killed_in_the_middle_of_a_proposal_changes_nothing(tmp_path, serial, name):
    marker = tmp_path / "killed"
    with executor_of(name, partial(deadly, corner_images(), marker)) as executor:
        found, run = searched(tmp_path / "run", executor)
    assert marker.exists(), "nothing was killed"
    assert has_ended(int(marker.read_text()))
    assert_same(found, run, serial)


@pytest.mark.slow
def test_a_proposal_that_kills_each_worker_is_named(tmp_path):
    with (
        executor_of("processes", partial(deadly, corner_images(), None)) as executor,
        pytest.raises(UserError, match=r"the proposal of (first|second) lost its worker 3 times"),
    ):
        searched(tmp_path / "run", executor)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("processes", signal.SIGINT),
        ("processes", signal.SIGKILL),
        ("ray", signal.SIGINT),
    ],
)
def test_a_search_that_ends_in_the_middle_leaves_no_worker_behind(tmp_path, name, end):
    command = [sys.executable, "-m", "tests.endless_search", name, str(tmp_path)]
    with open(tmp_path / "log", "w") as log, subprocess.Popen(command, stderr=log) as searching:
        deadline = time.monotonic() + PATIENCE_S
        while len(workers := [int(file.name) for file in tmp_path.iterdir() if file.name.isdigit()]) < WORKERS:
            assert searching.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, "the workers do not begin"
            time.sleep(0.1)
        searching.send_signal(end)
    assert all(has_ended(worker) for worker in workers)


@pytest.mark.parametrize("name", ["datasets", "loss", "metric"])
def test_what_cannot_be_sent_is_named(name):
    task = classification(network())
    datasets, loss, make = corner_datasets, task.loss, task.metric.make
    if name == "datasets":
        datasets = lambda: corner_datasets()  # noqa: E731
    elif name == "loss":
        loss = lambda targets, outputs: task.loss(targets, outputs)  # noqa: E731
    else:
        make = lambda: task.metric.make()  # noqa: E731
    with pytest.raises(UserError, match=f"the {name} cannot be sent to other processes"):
        executor_of("processes", datasets, Task(loss, dataclasses.replace(task.metric, make=make)))


def test_data_sets_that_cannot_be_made_elsewhere_are_for_the_serial_executor():
    data = corner_datasets()
    with pytest.raises(UserError, match="the executor processes sends the data set to other processes"):
        opened(Place("processes"), data, None, classification(network()), SETTINGS)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"executor": "threads"}, "executor is 'threads'; it should be serial or processes or ray"),
        ({"executor": "ray", "workers": -1}, "workers is -1; it should be a number of at least 0"),
        ({"executor": "ray", "cpus_per_proposal": 0.5}, "cpus_per_proposal is 0.5; it should be"),
        ({"executor": "ray", "gpus_per_proposal": float("nan")}, "gpus_per_proposal is nan; it should be"),
        ({"workers": 2}, "workers is 2, which means nothing to the executor serial"),
        ({"executor": "processes", "ray_address": "a:1"}, "ray_address is 'a:1', which means nothing to the executor"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused(choice, said):
    with pytest.raises(UserError, match=re.escape(said)):
        Place(**choice)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "netadapt_tf.search.executors.ray_cluster", raising=False)
    with pytest.raises(UserError, match=re.escape("pip install 'netadapt_tf[ray]'")):
        executor_of("ray", corner_datasets)


@pytest.mark.parametrize(
    ("short", "advice"), [(True, "if memory is short, take fewer"), (False, "see docs/scaling.md")]
)
def test_a_lost_worker_s_proposal_comes_first_again_and_not_for_ever(short, advice):
    queue = Queue([Portion("a", 1), Portion("b", 1)])
    for _ in range(2):
        lost = queue.take()
        assert lost.group == "a"
        queue.put_back(lost, "killed", short_of_memory=short)
    with pytest.raises(UserError, match=re.escape(f"the proposal of a lost its worker 3 times (killed); {advice}")):
        queue.put_back(queue.take(), "killed", short_of_memory=short)
    assert queue.take().group == "b"


def test_no_more_processes_are_started_than_there_are_proposals(monkeypatch):
    started = []

    class Answering:
        def __init__(self, greeting: bytes) -> None:
            self.pipe, self._theirs = multiprocessing.Pipe()
            started.append(self)

        def is_alive(self) -> bool:
            return True

        def give(self, stage: bytes, portion: Portion) -> None:
            self._theirs.send((portion.group, None))

        def answer(self) -> tuple:
            return self.pipe.recv()

        def end(self) -> None:
            self.pipe.close()

    monkeypatch.setattr(processes, "_Process", Answering)
    monkeypatch.setattr(processes.Parcel, "of", lambda stage: stage)
    with Processes(Bench(corner_datasets, classification(network()), SETTINGS), workers=4) as executor:
        executor.begin("stage", Stopwatch())
        for groups, expected in (("a", 1), ("abc", 3), ("ab", 3), ("abcdef", 4)):
            assert {group for group, _ in executor.results([Portion(g, 1) for g in groups])} == set(groups)
            assert len(started) == expected


def test_what_cannot_be_sent_to_ray_is_told_whatever_pickling_raises(monkeypatch):
    from netadapt_tf.search.executors import ray_cluster

    def put(content: object) -> None:
        raise pickle.PicklingError("not the same object")

    monkeypatch.setattr(ray_cluster.ray, "put", put)
    with pytest.raises(UserError, match="the network cannot be sent to Ray's workers: PicklingError: not the same"):
        ray_cluster._stored(network(), "network")


def room(monkeypatch, nodes: list[dict[str, float]], **asked) -> int:
    from netadapt_tf.search.executors import ray_cluster

    gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    alive = [{"Alive": True, "Resources": node} for node in nodes]
    monkeypatch.setattr(ray_cluster.ray, "nodes", lambda: [gone, *alive])
    return ray_cluster._room(Place("ray", **asked))


@pytest.mark.parametrize(
    ("nodes", "gpus", "expected"),
    [
        ([{"CPU": 3.0}, {"CPU": 3.0}, {"memory": 1.0}], 0, 2),
        ([{"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0}], 1, 1),
        ([{"CPU": 8.0, "GPU": 3.0}, {"CPU": 8.0, "GPU": 1.0}], 2, 1),
        ([{"CPU": 16.0, "GPU": 2.0}], 0.4, 4),
    ],
)
def test_a_proposal_fits_on_one_machine_of_the_cluster_or_not_at_all(monkeypatch, nodes, gpus, expected):
    assert room(monkeypatch, nodes, cpus_per_proposal=2, gpus_per_proposal=gpus) == expected
    assert room(monkeypatch, nodes, cpus_per_proposal=2, gpus_per_proposal=gpus, workers=1) == 1


def test_a_cluster_none_of_whose_machines_has_room_is_refused(monkeypatch):
    with pytest.raises(UserError, match="have 3 CPUs and 0 GPUs; a proposal asks for 4 and 0 of one machine"):
        room(monkeypatch, [{"CPU": 3.0}, {"CPU": 3.0}], cpus_per_proposal=4)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_told_at_once_and_before_any_work():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = "{}:{}".format(*probe.getsockname())
    for address in (nowhere, "localhost:99999", "." * 300 + ":1"):
        begin = time.monotonic()
        with pytest.raises(UserError, match=re.escape(f"there is no Ray cluster at {address}: ")):
            check_sendable(Place("ray", ray_address=address), network(), corner_datasets, classification(network()))
        assert time.monotonic() - begin < 5


@pytest.mark.slow
def test_a_cluster_with_a_token_is_joined_with_it_and_refuses_those_without(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray keeps the token
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    started = (
        "import ray; print(ray.init(address='local', num_cpus=1).address_info['gcs_address'], flush=True); input()"
    )
    joined = (
        "import sys; from netadapt_tf.search.executors.place import Place\n"
        "from netadapt_tf.search.executors.ray_cluster import check_cluster\n"
        "check_cluster(Place('ray', 0, sys.argv[1], 1, float(sys.argv[2])))"
    )

    def said(gpus: int = 0, **environment: str) -> str:
        command = [sys.executable, "-c", joined, address, str(gpus)]
        result = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
        return (result.stderr.strip() or "nothing").splitlines()[-1] if result.returncode else "joined"

    with subprocess.Popen(
        [sys.executable, "-c", started], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as cluster:
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        assert "asks for a token" in said()
        assert "asks for a token" in said(RAY_AUTH_MODE="token", HOME=str(tmp_path / "elsewhere"))
        assert said(RAY_AUTH_MODE="token") == "joined"
        assert "have 1 CPUs and 0 GPUs; a proposal asks for 1 and 1" in said(1, RAY_AUTH_MODE="token")
        cluster.communicate("\n")


@pytest.mark.parametrize("wants_token", [True, False])
def test_a_cluster_that_refuses_this_process_is_told_from_none(monkeypatch, wants_token):
    from netadapt_tf.search.executors import ray_cluster

    def init(**_):
        cause = RuntimeError(f"RPC error: {'InvalidAuthToken: missing' if wants_token else 'Deadline Exceeded'}")
        raise ConnectionError("Failed to connect to Ray cluster at head:6379") from cause

    monkeypatch.setattr(ray_cluster.ray, "init", init)
    monkeypatch.setattr(ray_cluster, "_check_answers", lambda _: None)
    said = (
        "asks for a token: set RAY_AUTH_MODE=token" if wants_token else "there is no Ray cluster at head:6379: Failed"
    )
    with pytest.raises(UserError, match=said):
        ray_cluster._join(Place("ray", ray_address="head:6379"))


@pytest.mark.slow
def test_a_worker_that_others_leave_no_room_for_holds_no_proposal(monkeypatch):
    from netadapt_tf.search.executors import ray_cluster

    class Quick:
        def __init__(self, threads: int) -> None:
            pass

        def fine_tune(self, stored: tuple, stages: int, portion: Portion) -> str:
            return portion.group

    monkeypatch.setattr(ray_cluster, "_Actor", Quick)
    monkeypatch.setattr(ray_cluster.Parcel, "of", lambda stage: stage)
    ray = ray_cluster.ray
    ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
    try:
        other = ray.remote(num_cpus=1)(Quick).remote(1)
        ray.get(other.fine_tune.remote((), 0, Portion("other", 1)))
        bench = Bench(corner_datasets, classification(network()), SETTINGS)
        with ray_cluster.RayCluster(bench, Place("ray", cpus_per_proposal=1)) as executor:
            assert executor._count == 2
            executor.begin("stage", Stopwatch())
            for _ in range(2):
                assert {group for group, _ in executor.results([Portion(g, 1) for g in "abc"])} == set("abc")
            assert len(executor._starting) == 1
    finally:
        ray.shutdown()
