"""The process that runs models on this machine and holds the watch; `host.HostMeter` is its other end.

    python -m tflite_bench.host_worker FILE_DESCRIPTOR THREADS

A runtime or a delegate may crash; in a process of its own that is one failed measurement.
Requests are `Job`s (answer: `Reading`) or `Pair`s (answer: `Comparison`); whatever goes wrong inside
Python is answered as text.
"""

import gc
import os
import resource
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np

from tflite_bench import runtime, timing

_WARM_UP_RUNS, _WARM_UP_MS = 5, 1.0
_MAX_RUNS = 2000
_BLOCK_RUNS, _COUNTED_RUNS = 8, 4
_MIN_ROUNDS = 2
_MAX_BYTES = 1 << 29
_BYTES_PER_MODEL_BYTE = 3  # the file, its packed weights, its activations
_MAX_MEMORY_BYTES = 8 << 30  # of this process: what a damaged model asks for beyond it is refused
_INPUT_SEED = 0


class _LoadedModel:
    """An interpreter with its inputs filled."""

    def __init__(self, tflite: bytes, threads: int) -> None:
        self._interpreter = runtime.interpreter(tflite, threads)
        generator = np.random.default_rng(_INPUT_SEED)
        for detail in self._interpreter.get_input_details():
            values = generator.uniform(size=detail["shape"]).astype(detail["dtype"])
            self._interpreter.set_tensor(detail["index"], values)

    def run_ms(self) -> float:
        invoke = self._interpreter.invoke
        start = time.perf_counter_ns()
        invoke()
        return (time.perf_counter_ns() - start) / 1e6


class _Watch:
    """Loads models and times them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def time(self, job: timing.Job) -> timing.Reading:
        # All loads stay in memory, or each would land where the one before has been.
        count = int(np.clip(_MAX_BYTES // (_BYTES_PER_MODEL_BYTE * len(job.tflite)), 1, job.loads))
        loads = [_LoadedModel(job.tflite, self._threads) for _ in range(count)]
        return timing.reading([self._time_load(model, job) for model in loads])

    def compare(self, pair: timing.Pair) -> timing.Comparison:
        once_ms = sum(np.mean([model.run_ms() for _ in range(_WARM_UP_RUNS)]) for model in self._load(pair))
        round_ms = _BLOCK_RUNS * once_ms
        loads = int(np.clip(pair.total_ms / (_MIN_ROUNDS * round_ms), pair.min_loads, pair.max_loads))
        rounds = int(np.clip(pair.total_ms / (round_ms * loads), _MIN_ROUNDS, _MAX_RUNS))
        together = max(1, _MAX_BYTES // (_BYTES_PER_MODEL_BYTE * (len(pair.first) + len(pair.second))))
        runs_ms: list[np.ndarray] = []
        while len(runs_ms) < loads:  # as many at a time as memory allows
            held = [self._load(pair) for _ in range(min(together, loads - len(runs_ms)))]
            runs_ms += [self._compare_load(models, rounds) for models in held]
        times_ms = np.array(runs_ms)  # [loads, rounds, 2]
        return timing.comparison(times_ms[:, :, 0], times_ms[:, :, 1])

    def _load(self, pair: timing.Pair) -> list[_LoadedModel]:
        return [_LoadedModel(tflite, self._threads) for tflite in (pair.first, pair.second)]

    def _time_load(self, model: _LoadedModel, job: timing.Job) -> np.ndarray:
        total_ms, runs = 0.0, 0
        while runs < _WARM_UP_RUNS or (total_ms < _WARM_UP_MS and runs < _MAX_RUNS):
            total_ms += model.run_ms()
            runs += 1
        runs_ms: list[float] = []
        total_ms = 0.0
        while len(runs_ms) < job.min_runs or (total_ms < job.min_total_ms and len(runs_ms) < _MAX_RUNS):
            runs_ms.append(model.run_ms())
            total_ms += runs_ms[-1]
        return np.array(runs_ms)

    def _compare_load(self, models: Sequence[_LoadedModel], rounds: int) -> np.ndarray:
        return np.array([[_steady_ms(model) for model in models] for _ in range(rounds)])


def _steady_ms(model: _LoadedModel) -> float:
    """Runs a model several times in a row; the last ones count: the other model has just filled the caches."""
    return float(np.median([model.run_ms() for _ in range(_BLOCK_RUNS)][-_COUNTED_RUNS:]))


def _pin(threads: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-threads:])


def _limit_memory() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MAX_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def main() -> None:
    """Serves requests until the other end hangs up."""
    connection = Connection(int(sys.argv[1]))
    threads = int(sys.argv[2])
    _pin(threads)
    _limit_memory()
    gc.disable()
    watch = _Watch(threads)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        answer: timing.Reading | timing.Comparison | str
        try:
            answer = watch.time(request) if isinstance(request, timing.Job) else watch.compare(request)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        connection.send(answer)
        gc.collect()


if __name__ == "__main__":
    main()
