"""Proposals on a Ray cluster: this machine's cores, or many machines.

Ray is an extra of this package, and this module is loaded only where it is asked for.
"""

import os
import pickle
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from absl import logging

from netadapt_tf.search.executors.executor import Bench, Executor
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.executors.retries import Queue
from netadapt_tf.search.executors.sending import check_parts, parts_of_bench, parts_of_network
from netadapt_tf.search.executors.serving import cannot_read
from netadapt_tf.search.executors.worker import Parcel, Worker, threads_here
from netadapt_tf.search.short_term import Portion, Result, Stage
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.wording import one_line
from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import UserError

try:
    import ray
    from ray.exceptions import AuthenticationError, OutOfMemoryError, RayError, RaySystemError, RayTaskError
except ImportError as error:
    raise UserError(
        f"the executor ray needs Ray, an extra of this package: pip install 'netadapt_tf[ray]' ({error})"
    ) from error

WHITHER = "Ray's workers"
_PATIENCE_S = 60
_ANSWER_S = 10
_REFUSED = "InvalidAuthToken"  # of the cause of Ray's ConnectionError, which is a RuntimeError


class RayCluster(Executor):
    """Actors of a cluster, each with its data set and its traced step.

    Data set and stage lie in Ray's object store, which copies them to each node once. An actor that is lost, with its
    node or alone, is replaced wherever there is room.
    """

    def __init__(self, bench: Bench, place: Place) -> None:
        """Joins the cluster, or starts one of this machine.

        Args:
            bench: what all fine-tunes have in common.
            place: where, and with what.

        Raises:
            UserError: there is no cluster at that address, it has no room for one proposal, or a part of the bench
                cannot be sent.
        """
        self._threads = threads_here()
        self._place = _with_cores(place)
        self._begun_here = not ray.is_initialized()
        self._actors: list[Any] = []
        self._starting: dict[Any, Any] = {}
        if self._begun_here and (dashboard := _join(self._place)):
            logging.info("Ray's dashboard: http://%s", dashboard)
        try:
            self._actor = ray.remote(_Actor).options(
                num_cpus=self._place.cpus_per_proposal,
                num_gpus=place.gpus_per_proposal,
                max_restarts=0,
                max_task_retries=0,
            )
            self._count = _room(self._place)
            check_parts(parts_of_bench(bench.datasets, bench.task), pickled_for_ray, WHITHER)
            self._bench = _stored(bench, "data set, loss or metric")
        except BaseException:
            self.__exit__()
            raise
        self._stage: Any = None
        self._stages = 0
        self._clock = Stopwatch()

    def begin(self, stage: Stage, clock: Stopwatch) -> None:
        """See `Executor`.

        Raises:
            UserError: the network holds something that cannot be sent.
        """
        try:
            self._stage = _stored(Parcel.of(stage), "network")
        except UserError:
            check_parts(parts_of_network(stage.network), pickled_for_ray, WHITHER)
            raise
        self._stages += 1
        self._clock = clock
        self._count = _room(self._place)

    def results(self, portions: Sequence[Portion]) -> Iterator[tuple[str, Result]]:
        """See `Executor`; as they are finished."""
        queue = Queue(portions)
        at_work: dict[Any, tuple[Any, Portion]] = {}
        while queue or at_work:
            with self._clock("short_term"):
                self._hand_out(queue, at_work)
                answer = self._first(at_work)
            _, portion = at_work.pop(answer, (None, None))
            self._starting.pop(answer, None)
            try:
                result = ray.get(answer)
            except RayTaskError as error:
                if error.cause is None:
                    raise
                raise error.cause from error
            except RayError as error:
                self._forget_all_but({actor for actor, _ in at_work.values()})
                if portion or queue:  # what does not even start counts, too: else it would be tried for ever
                    how = f"{type(error).__name__}: {one_line(error)}"
                    queue.put_back(portion or queue.take(), how, short_of_memory=isinstance(error, OutOfMemoryError))
                continue
            if portion:
                yield portion.group, result

    def _hand_out(self, queue: Queue, at_work: dict[Any, tuple[Any, Portion]]) -> None:
        """A portion to each idle actor, and more actors where portions are left; one that has not started gets none.

        Whether it ever starts is not known: others may use the cluster.
        """
        occupied = {actor for actor, _ in at_work.values()} | set(self._starting.values())
        for actor in self._actors:
            if queue and actor not in occupied:
                portion = queue.take()
                answer = actor.fine_tune.remote((self._bench, self._stage), self._stages, portion)
                at_work[answer] = actor, portion
        while len(queue) > len(self._starting) and len(self._actors) < self._count:
            self._actors.append(self._actor.remote(self._threads))
            self._starting[self._actors[-1].__ray_ready__.remote()] = self._actors[-1]

    def _first(self, at_work: Collection[Any]) -> Any:
        """The first answer to a portion, or to whether an actor has started."""
        answers = [*at_work, *self._starting]
        first, _ = ray.wait(answers, num_returns=1, timeout=None if at_work else _PATIENCE_S)
        if not first:
            logging.warning("The Ray cluster has started no worker for %d s; others may use it.", _PATIENCE_S)
            first, _ = ray.wait(answers, num_returns=1)
        return first[0]

    def _forget_all_but(self, at_work: Collection[Any]) -> None:
        """One was lost, perhaps with its node: idle ones may be lost, too, and there may be less room."""
        for actor in set(self._actors) - set(at_work):
            ray.kill(actor)
        self._actors = list(at_work)
        self._starting = {}
        self._count = _room(self._place)

    def __exit__(self, *_: object) -> None:
        """Ends the actors, and leaves the cluster; one that was started here ends, too."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []
        self._starting = {}
        if self._begun_here:
            ray.shutdown()


class _Actor:
    """A worker in a process of Ray's."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._worker: Worker | None = None
        self._stages = 0

    def fine_tune(self, stored: tuple[Any, Any], stages: int, portion: Portion) -> Result:
        """A portion; the bench is read from the object store once, the stage whenever its number is a new one.

        Args:
            stored: references to the bench and to the stage; in a tuple, since Ray would read bare ones each time.
            stages: how many stages there were so far.
            portion: what to do.
        """
        bench, stage = stored
        if self._worker is None:
            self._worker = Worker(self._threads, partial(_fetched, bench))
        if self._stages != stages:
            self._worker.begin(_fetched(stage))
            self._stages = stages
        return self._worker.fine_tune(portion)


def check_cluster(place: Place) -> None:
    """Sees that a cluster that is there already can be joined, and has room for a proposal; it is left again.

    Raises:
        UserError: it cannot, or has none.
    """
    if place.ray_address and not ray.is_initialized():
        _join(place)
        try:
            _room(_with_cores(place))
        finally:
            ray.shutdown()


def _with_cores(place: Place) -> Place:
    """The place, with the cores that are set aside for a proposal."""
    return replace(place, cpus_per_proposal=place.cpus_per_proposal or threads_here() or 1)


def _check_answers(address: str) -> None:
    """Sees that somebody is there, for which Ray itself would ask for minutes.

    Raises:
        UserError: nobody answers.
    """
    host, _, port = address.rpartition(":")
    if "/" in host or not port.isdecimal():  # what only Ray can read
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(f"there is no Ray cluster at {address}: {one_line(error)}") from error


def _join(place: Place) -> str | None:
    """Connects this process with a cluster; returns the address of its dashboard, if it has one."""
    _check_answers(place.ray_address)
    here: dict[str, Any] = {}
    if not place.ray_address:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers unasked
        cores = len(os.sched_getaffinity(0))
        here = {"num_cpus": max(cores, place.cpus_per_proposal * max(1, place.workers))}
    try:
        with quiet_native_code():  # refused, Ray's native code says so once a second; and it greets
            cluster = ray.init(
                address=place.ray_address or "local", log_to_driver=False, configure_logging=False, **here
            )
    except (ConnectionError, RayError, RuntimeError, ValueError) as error:
        where = f"at {place.ray_address}" if place.ray_address else "on this machine"
        if isinstance(error, AuthenticationError) or _REFUSED in str(error.__cause__):
            raise UserError(
                f"the Ray cluster {where} asks for a token: set RAY_AUTH_MODE=token, and have the cluster's "
                "~/.ray/auth_token here, too"
            ) from error
        raise UserError(f"there is no Ray cluster {where}: {one_line(error)}") from error
    return cluster.dashboard_url


def _room(place: Place) -> int:
    """How many proposals are fine-tuned at the same time, as the cluster is now."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not (room := sum(_room_of(node, place) for node in nodes)):
        has = " or ".join(sorted({f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes}))
        raise UserError(
            f"the machines of the Ray cluster have {has or 'gone'}; a proposal asks for {place.cpus_per_proposal} and "
            f"{place.gpus_per_proposal:g} of one machine: lower cpus_per_proposal, gpus_per_proposal or threads"
        )
    return min(place.workers or room, room)


def _room_of(node: Mapping[str, float], place: Place) -> int:
    """How many proposals fit on one machine; none is spread over machines, nor a part of a GPU over GPUs."""
    room, gpus = int(node.get("CPU", 0) // place.cpus_per_proposal), place.gpus_per_proposal
    if not gpus:
        return room
    has = node.get("GPU", 0)
    return min(room, int(has / gpus) if gpus >= 1 else int(has) * int(1 / gpus))


def pickled_for_ray(part: Any) -> None:
    """Pickles as for Ray's workers, and keeps nothing.

    Raises:
        Exception: it cannot be pickled.
    """
    ray.cloudpickle.dumps(part, pickle.HIGHEST_PROTOCOL, buffer_callback=lambda _: None)


def _fetched(stored: Any) -> Any:
    """What lies in the object store, in a worker.

    Raises:
        UserError: a module that it needs is not here.
    """
    try:
        return ray.get(stored)
    except (AttributeError, ImportError, RaySystemError) as error:
        raise cannot_read(error) from error


def _stored(content: Any, what: str) -> Any:
    """A reference to what lies in the object store; pickling raises whatever the content's own code does."""
    try:
        return ray.put(content)
    except Exception as error:
        raise UserError(
            f"the {what} cannot be sent to Ray's workers: {type(error).__name__}: {one_line(error)}"
        ) from error
