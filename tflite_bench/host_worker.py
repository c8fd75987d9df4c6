"""The process that runs models on this machine's CPU and holds the watch; `host.HostMeter` is its other end.

    python -m tflite_bench.host_worker FILE_DESCRIPTOR THREADS

A runtime or a delegate may crash; in a process of its own that is one failed measurement.
Requests are `Job`s (answer: `Reading`) or `Pair`s (answer: `Comparison`).
"""

import os
import sys
import time
from multiprocessing.connection import Connection

import numpy as np

from tflite_bench import runtime, timing, watch

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


class _Watch(watch.Watch):
    """Loads models into interpreters, and times them."""

    def __init__(self, threads: int) -> None:
        super().__init__(watch.Pace())
        self._threads = threads

    def load(self, tflite: bytes, is_layer: bool = False) -> _LoadedModel:
        return _LoadedModel(tflite, self._threads)


def _pin(threads: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-threads:])


def main() -> None:
    """Serves requests until the other end hangs up."""
    connection = Connection(int(sys.argv[1]))
    threads = int(sys.argv[2])
    _pin(threads)
    timer = _Watch(threads)

    def answer(request: object) -> object:
        if isinstance(request, timing.Job):
            return timer.time(request)
        if isinstance(request, timing.Pair):
            return timer.compare(request)
        raise TypeError(f"no request: {request!r}")

    watch.serve(connection, answer)


if __name__ == "__main__":
    main()
