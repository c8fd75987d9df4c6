"""The process that runs models on this machine and holds the watch; `host.HostMeter` is its other end.

    python -m tflite_bench.host_worker FILE_DESCRIPTOR THREADS

A runtime or a delegate may crash; in a process of its own that is one failed measurement.
Requests are `Job`s (answer: `Reading`) or `Pair`s (answer: `Comparison`); whatever goes wrong inside
Python is answered as text.
"""

import gc
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np

from tflite_bench import reference, runtime, timing

_WARM_UP_RUNS, _WARM_UP_MS = 5, 1.0
_MAX_RUNS = 2000
_MIN_ROUNDS = 5
_MAX_BYTES = 1 << 29
_BYTES_PER_MODEL_BYTE = 3  # the file, its packed weights, its activations
_CALL_RUNS = 2001
_INPUT_SEED = 0


class _LoadedModel:
    """An interpreter with its inputs filled."""

    def __init__(self, tflite: bytes, threads: int) -> None:
        self._interpreter = runtime.interpreter(tflite, threads)
        generator = np.random.default_rng(_INPUT_SEED)
        details = self._interpreter.get_input_details()
        for detail in details:
            values = generator.uniform(size=detail["shape"]).astype(detail["dtype"])
            self._interpreter.set_tensor(detail["index"], values)
        details += self._interpreter.get_output_details()
        self._activations = [self._interpreter.tensor(detail["index"]) for detail in details]

    def touch_activations(self) -> None:
        """Brings inputs and outputs into the caches, where the layer before would have left them."""
        for activation in self._activations:
            activation().sum()

    def run_ms(self) -> float:
        invoke = self._interpreter.invoke
        start = time.perf_counter_ns()
        invoke()
        return (time.perf_counter_ns() - start) / 1e6


class _Watch:
    """Answers requests with the cost of a call already known."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        empty = _LoadedModel(reference.almost_empty_model(), threads)
        self._call_ms = float(np.median([empty.run_ms() for _ in range(_CALL_RUNS)]))

    def time(self, job: timing.Job) -> timing.Reading:
        # All loads stay in memory, or each would land where the one before has been.
        count = int(np.clip(_MAX_BYTES // (_BYTES_PER_MODEL_BYTE * len(job.tflite) * job.copies), 1, job.loads))
        loads = [[_LoadedModel(job.tflite, self._threads) for _ in range(job.copies)] for _ in range(count)]
        return timing.reading([self._time_load(models, job) for models in loads], self._call_ms)

    def compare(self, pair: timing.Pair) -> timing.Comparison:
        once_ms = sum(np.mean([model.run_ms() for _ in range(_WARM_UP_RUNS)]) for model in self._load(pair))
        least_ms = (2 * _MIN_ROUNDS + _WARM_UP_RUNS) * once_ms  # of one load
        loads = int(np.clip(pair.total_ms / least_ms, pair.min_loads, pair.max_loads))
        rounds = int(np.clip(pair.total_ms / (2 * once_ms * loads), _MIN_ROUNDS, _MAX_RUNS))
        together = max(1, _MAX_BYTES // (_BYTES_PER_MODEL_BYTE * (len(pair.first) + len(pair.second))))
        runs_ms: list[np.ndarray] = []
        while len(runs_ms) < loads:  # as many at a time as memory allows
            held = [self._load(pair) for _ in range(min(together, loads - len(runs_ms)))]
            runs_ms += [self._compare_load(models, rounds) for models in held]
        times_ms = np.array(runs_ms)  # [loads, rounds, 2]
        return timing.comparison(times_ms[:, :, 0], times_ms[:, :, 1])

    def _load(self, pair: timing.Pair) -> list[_LoadedModel]:
        return [_LoadedModel(tflite, self._threads) for tflite in (pair.first, pair.second)]

    def _time_load(self, models: Sequence[_LoadedModel], job: timing.Job) -> np.ndarray:
        total_ms, runs = 0.0, 0
        while runs < max(_WARM_UP_RUNS, len(models)) or (total_ms < _WARM_UP_MS and runs < _MAX_RUNS):
            total_ms += models[runs % len(models)].run_ms()
            runs += 1
        runs_ms: list[float] = []
        total_ms = 0.0
        while len(runs_ms) < job.min_runs or (total_ms < job.min_total_ms and len(runs_ms) < _MAX_RUNS):
            model = models[len(runs_ms) % len(models)]
            if len(models) > 1:
                model.touch_activations()
            runs_ms.append(model.run_ms())
            total_ms += runs_ms[-1]
        return np.array(runs_ms)

    def _compare_load(self, models: Sequence[_LoadedModel], rounds: int) -> np.ndarray:
        for model in models:
            for _ in range(_WARM_UP_RUNS):
                model.run_ms()
        # A model runs twice in a row and the second run counts: the other one has just filled the caches.
        return np.array([[(model.run_ms(), model.run_ms())[1] for model in models] for _ in range(rounds)])


def _pin(threads: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-threads:])


def main() -> None:
    """Serves requests until the other end hangs up."""
    connection = Connection(int(sys.argv[1]))
    threads = int(sys.argv[2])
    _pin(threads)
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
