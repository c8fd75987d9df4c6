"""The process that runs models on this machine's GPU and holds the watch; `gpu.GpuMeter` is its other end.

    python -m tflite_bench.gpu_worker FILE_DESCRIPTOR ALLOW_PARTIAL ENFORCE_FLOAT32

The last two are `true` or `false`. A driver may crash; in a process of its own that is one failed measurement.
Requests are `Job`s, `Pair`s, or `WHICH_ADAPTER`; the answer is a `GpuAnswer`, or a text where something goes wrong.
"""

import functools
import sys
from multiprocessing.connection import Connection

import numpy as np

from tflite_bench import timing, watch
from tflite_bench.gpu_model import Accelerator, GpuModel, GpuRequest
from tflite_bench.gpu_requests import GpuAnswer

_PACE = watch.Pace(warm_up_runs=4, warm_up_ms=5.0, block_runs=4, counted_runs=2)
_STEADY_RUNS, _MAX_WARM_UP_MS = 3, 2000.0
_STEADY_SHARE = 0.9


class _Watch(watch.Watch):
    """Compiles models for the GPU, and times them."""

    def __init__(self, accelerator: Accelerator) -> None:
        super().__init__(_PACE)
        self._accelerator = accelerator

    def load(self, tflite: bytes, is_layer: bool = False) -> GpuModel:
        model = self._accelerator.load(tflite, is_layer)
        model.choose_runs(_settled_ms(model))
        return model


def _settled_ms(model: GpuModel) -> float:
    """Runs a model until runs get no shorter: the driver compiles, and the clocks rise, behind the first ones."""
    before_ms, spent_ms = np.inf, 0.0
    while True:
        runs_ms = [model.run_ms() for _ in range(_STEADY_RUNS)]
        now_ms, spent_ms = float(np.median(runs_ms)), spent_ms + sum(runs_ms)
        if now_ms > _STEADY_SHARE * before_ms or spent_ms > _MAX_WARM_UP_MS:
            return now_ms
        before_ms = now_ms


def main() -> None:
    """Serves requests until the other end hangs up."""
    connection = Connection(int(sys.argv[1]))
    request = GpuRequest(*(text == "true" for text in sys.argv[2:4]))
    accelerator = functools.cache(lambda: Accelerator(request))

    def answer(asked: object) -> object:
        timer = _Watch(accelerator())
        if isinstance(asked, timing.Job):
            return GpuAnswer(timer.time(asked), accelerator().taken_left())
        if isinstance(asked, timing.Pair):
            return GpuAnswer(timer.compare(asked), accelerator().taken_left())
        return GpuAnswer(accelerator().adapter)

    watch.serve(connection, answer)


if __name__ == "__main__":
    main()
