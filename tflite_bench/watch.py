"""Holding the watch, in the process that runs the models: how often they run, and which runs count."""

import gc
import resource
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np

from tflite_bench import timing
from tflite_bench.errors import MeasurementError

_MAX_RUNS = 2000
_MIN_ROUNDS = 2
_MAX_BYTES = 1 << 29
_BYTES_PER_MODEL_BYTE = 3  # the file, its packed weights, its activations
_MAX_MEMORY_BYTES = 8 << 30  # of this process: what a damaged model asks for beyond it is refused


class TimedModel(Protocol):
    """A model, loaded and fed."""

    def run_ms(self) -> float:
        """Runs it; how long that took, in milliseconds."""


@dataclass(frozen=True)
class Pace:
    """How often models run.

    Attributes:
        warm_up_runs: of each load, at least.
        warm_up_ms: of each load, at least.
        block_runs: in a row of one model of a pair, before the other has its turn.
        counted_runs: of these the last, which count: the other model has just had the caches.
    """

    warm_up_runs: int = 5
    warm_up_ms: float = 1.0
    block_runs: int = 8
    counted_runs: int = 4


class Watch(ABC):
    """Loads models and times them."""

    def __init__(self, pace: Pace) -> None:
        """Takes how often models run."""
        self._pace = pace

    @abstractmethod
    def load(self, tflite: bytes, is_layer: bool = False) -> TimedModel:
        """A model, ready to run; `is_layer` as in `timing.Job`."""

    def warm_up(self, model: TimedModel) -> None:
        """Runs a model until it runs as it will."""
        total_ms, runs = 0.0, 0
        while runs < self._pace.warm_up_runs or (total_ms < self._pace.warm_up_ms and runs < _MAX_RUNS):
            total_ms += model.run_ms()
            runs += 1

    def time(self, job: timing.Job) -> timing.Reading:
        """Times one model."""
        # All loads stay in memory, or each would land where the one before has been.
        count = int(np.clip(_MAX_BYTES // (_BYTES_PER_MODEL_BYTE * len(job.tflite)), 1, job.loads))
        loads = [self.load(job.tflite, job.is_layer) for _ in range(count)]
        return timing.reading([self._time_load(model, job) for model in loads])

    def compare(self, pair: timing.Pair) -> timing.Comparison:
        """Times two models in turn."""
        once_ms = sum(self._once_ms(model) for model in self._load_pair(pair))
        round_ms = self._pace.block_runs * once_ms
        loads = int(np.clip(pair.total_ms / (_MIN_ROUNDS * round_ms), pair.min_loads, pair.max_loads))
        rounds = int(np.clip(pair.total_ms / (round_ms * loads), _MIN_ROUNDS, _MAX_RUNS))
        together = max(1, _MAX_BYTES // (_BYTES_PER_MODEL_BYTE * (len(pair.first) + len(pair.second))))
        runs_ms: list[np.ndarray] = []
        while len(runs_ms) < loads:  # as many at a time as memory allows
            held = [self._load_pair(pair) for _ in range(min(together, loads - len(runs_ms)))]
            runs_ms += [self._compare_load(models, rounds) for models in held]
        times_ms = np.array(runs_ms)  # [loads, rounds, 2]
        return timing.comparison(times_ms[:, :, 0], times_ms[:, :, 1])

    def _once_ms(self, model: TimedModel) -> float:
        return float(np.mean([model.run_ms() for _ in range(self._pace.warm_up_runs)]))

    def _load_pair(self, pair: timing.Pair) -> list[TimedModel]:
        return [self.load(tflite) for tflite in (pair.first, pair.second)]

    def _time_load(self, model: TimedModel, job: timing.Job) -> np.ndarray:
        self.warm_up(model)
        runs_ms: list[float] = []
        total_ms = 0.0
        while len(runs_ms) < job.min_runs or (total_ms < job.min_total_ms and len(runs_ms) < _MAX_RUNS):
            runs_ms.append(model.run_ms())
            total_ms += runs_ms[-1]
        return np.array(runs_ms)

    def _compare_load(self, models: Sequence[TimedModel], rounds: int) -> np.ndarray:
        return np.array([[self._steady_ms(model) for model in models] for _ in range(rounds)])

    def _steady_ms(self, model: TimedModel) -> float:
        """Runs a model several times in a row; the last ones count."""
        runs_ms = [model.run_ms() for _ in range(self._pace.block_runs)]
        return float(np.median(runs_ms[-self._pace.counted_runs :]))


def serve(connection: Connection, answer: Callable[[object], object]) -> None:
    """Answers requests until the other end hangs up; whatever goes wrong inside Python is answered as text."""
    _limit_memory()
    gc.freeze()  # what the imports left need not be looked through
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        reply: object
        gc.disable()  # no model is interrupted by it
        try:
            reply = answer(request)
        except MeasurementError as error:
            reply = str(error)
        except Exception as error:
            reply = f"{type(error).__name__}: {error}"
        gc.enable()
        connection.send(reply)


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MAX_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
