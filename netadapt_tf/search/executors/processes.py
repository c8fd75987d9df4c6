"""Proposals in several processes of this machine, kept alive through the search."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection

from netadapt_tf.search.executors.executor import Bench, Executor
from netadapt_tf.search.executors.retries import Queue
from netadapt_tf.search.executors.sending import (
    check_parts,
    parts_of_bench,
    parts_of_network,
    pickled_for_processes,
)
from netadapt_tf.search.executors.serving import serve
from netadapt_tf.search.executors.worker import Parcel, threads_here
from netadapt_tf.search.short_term import Portion, Result, Stage
from netadapt_tf.stopwatch import Stopwatch

WHITHER = "other processes"


class Processes(Executor):
    """So many worker processes; each is started when it is first needed, and again when it is lost.

    They are spawned: a copy of a process in which TensorFlow runs does not work.
    """

    def __init__(self, bench: Bench, workers: int) -> None:
        """Makes sure that what workers need can be sent to them.

        Args:
            bench: what all fine-tunes have in common.
            workers: how many; 0 for as many as there are cores for their threads.

        Raises:
            UserError: it cannot be sent.
        """
        threads = threads_here()
        check_parts(parts_of_bench(bench.datasets, bench.task), pickled_for_processes, WHITHER)
        common = pickle.dumps(bench, pickle.HIGHEST_PROTOCOL)
        self._greeting = pickle.dumps((threads, common), pickle.HIGHEST_PROTOCOL)
        self._count = workers or max(1, len(os.sched_getaffinity(0)) // (threads or os.cpu_count() or 1))
        self._workers: list[_Process] = []
        self._stage = b""
        self._clock = Stopwatch()

    def begin(self, stage: Stage, clock: Stopwatch) -> None:
        """See `Executor`.

        Raises:
            UserError: the network holds something that cannot be sent.
        """
        try:
            self._stage = pickle.dumps(Parcel.of(stage), pickle.HIGHEST_PROTOCOL)
        except Exception:
            check_parts(parts_of_network(stage.network), pickled_for_processes, WHITHER)
            raise
        self._clock = clock

    def results(self, portions: Sequence[Portion]) -> Iterator[tuple[str, Result]]:
        """See `Executor`; as they are finished."""
        queue = Queue(portions)
        room = min(self._count, len(portions))
        at_work: dict[_Process, Portion] = {}
        while queue or at_work:
            with self._clock("short_term"):
                while queue and len(at_work) < room:
                    portion, worker = queue.take(), self._idle(at_work, room)
                    worker.give(self._stage, portion)
                    at_work[worker] = portion
                finished = connection.wait([worker.pipe for worker in at_work])
            for worker in [worker for worker in at_work if worker.pipe in finished]:
                portion = at_work.pop(worker)
                try:
                    result, failure = worker.answer()
                except (EOFError, ConnectionError):
                    self._workers.remove(worker)
                    code = worker.end()
                    queue.put_back(portion, f"exit code {code}", short_of_memory=code == -signal.SIGKILL)
                    continue
                if failure is not None:
                    raise failure
                yield portion.group, result

    def _idle(self, at_work: Collection["_Process"], room: int) -> "_Process":
        """A worker that has nothing to do, of so many at least; lost ones are replaced."""
        for worker in [worker for worker in self._workers if not worker.is_alive() and worker not in at_work]:
            self._workers.remove(worker)
            worker.end()
        while len(self._workers) < room:  # side by side: each takes seconds to load TensorFlow
            self._workers.append(_Process(self._greeting))
        return next(worker for worker in self._workers if worker not in at_work)

    def __exit__(self, *_: object) -> None:
        """Ends all workers, in the middle of whatever they do."""
        for worker in self._workers:
            worker.end()
        self._workers = []


class _Process:
    """One worker, and what it was sent so far."""

    def __init__(self, greeting: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True, name="netadapt worker")
        self._process.start()
        theirs.close()
        self._greeting = greeting
        self._stage = b""

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def give(self, stage: bytes, portion: Portion) -> None:
        """Sends a portion, after the stage that it is of; that a worker is lost shows when it should answer."""
        messages = [("portion", pickle.dumps(portion, pickle.HIGHEST_PROTOCOL))]
        if self._stage is not stage:
            messages.insert(0, ("stage", stage))
        if not self._stage:
            messages.insert(0, ("bench", self._greeting))
        self._stage = stage
        with suppress(ConnectionError):
            for message in messages:
                self.pipe.send(message)

    def answer(self) -> tuple[Result, Exception | None]:
        return self.pipe.recv()

    def end(self) -> int | None:
        """Ends the process, unless it has ended by itself; returns its exit code."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        return self._process.exitcode
