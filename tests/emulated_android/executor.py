"""Really runs a `.tflite`, on the processor of this machine, as the tools' inner part."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class Executor:
    """A model ready to run.

    Attributes:
        input_bytes: size of all inputs.
    """

    def __init__(self, tflite: bytes, num_threads: int, *, xnnpack: bool) -> None:
        """Loads a model and gives it random inputs.

        Raises:
            ValueError, RuntimeError: the runtime refuses the model.
        """
        resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        threads = num_threads if num_threads > 0 else 1
        self._interpreter = Interpreter(
            model_content=tflite, num_threads=threads, experimental_op_resolver_type=resolver
        )
        self._interpreter.allocate_tensors()
        self.input_bytes = 0
        generator = np.random.default_rng(0)
        for details in self._interpreter.get_input_details():
            values = generator.uniform(0, 1, details["shape"]).astype(details["dtype"])
            if np.issubdtype(details["dtype"], np.integer):
                values = generator.integers(0, 100, details["shape"]).astype(details["dtype"])
            self._interpreter.set_tensor(details["index"], values)
            self.input_bytes += values.nbytes

    def timed(self, time_factor: float, fixed_s: float = 0.0) -> Callable[[], int]:
        """A function that runs the model once and says how many microseconds it took.

        Args:
            time_factor: what the time is multiplied by.
            fixed_s: seconds to spend beside the work, as a GPU does.
        """
        invoke, clock = self._interpreter.invoke, time.perf_counter_ns

        def run() -> int:
            begin = clock()
            invoke()
            if fixed_s:
                end = clock() + int(fixed_s * 1e9)
                while clock() < end:
                    pass
            now = clock()
            if time_factor == 1.0:
                return now // 1000 - begin // 1000
            return round((now - begin) * time_factor / 1000)

        return run


@contextlib.contextmanager
def quiet_runtime() -> Iterator[None]:
    """Nothing that the runtime says about itself gets through: it is not the delegate that is emulated."""
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def read_graph(path: str) -> bytes | None:
    """The file, or None if it cannot be opened."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None
