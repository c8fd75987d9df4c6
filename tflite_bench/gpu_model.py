"""Models on this machine's GPU, through LiteRT's GPU accelerator; for the process that `gpu_worker` is."""

import math
import time
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.environment import Environment
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import GpuOptions, Options
from ai_edge_litert.tensor_buffer import TensorBuffer

from tflite_bench.adapter import (
    Adapter,
    last_objection,
    left_operators,
    selected_adapter,
    takes_nothing,
    why_unusable,
)
from tflite_bench.errors import MeasurementError
from tflite_bench.native_log import NativeLog
from tflite_bench.reference import reference_network
from tflite_bench.vulkan_drivers import vulkan_drivers

_INPUT_SEED = 0
_LEAST_READING_MS = 0.5
_MAX_RUNS_OF_A_READING = 64


@dataclass(frozen=True)
class GpuRequest:
    """How models are to be compiled.

    Attributes:
        allow_partial: whether operators that the GPU does not take may run on the CPU.
        enforce_float32: whether the GPU must compute in float32; otherwise it may choose float16.
    """

    allow_partial: bool = False
    enforce_float32: bool = False


class Accelerator:
    """One environment of LiteRT's, and with it one device of the GPU, which all models share.

    Attributes:
        adapter: what it computes on.
    """

    def __init__(self, request: GpuRequest) -> None:
        """Compiles the reference network, to see that a GPU is there; all of it must go there, whatever is allowed.

        Raises:
            MeasurementError: no GPU can be used here; the message says why, and what would help.
        """
        self._request = request
        self._left: dict[str, None] = {}
        self._log = NativeLog()
        self._environment = Environment.create()
        try:
            compiled, log = self._compiled(reference_network(), HardwareAccelerator.GPU), self._log.taken()
        except RuntimeError as error:
            raise MeasurementError(why_unusable(self._log.taken())) from error
        adapter = selected_adapter(log, vulkan_drivers())
        if adapter is None or not compiled.is_fully_accelerated():
            raise MeasurementError("LiteRT's GPU accelerator does not say that it took a GPU, so none is believed")
        self.adapter: Adapter = adapter

    def load(self, tflite: bytes, is_layer: bool = False) -> "GpuModel":
        """A model, compiled for the GPU and fed.

        Args:
            tflite: the model.
            is_layer: whether it is cut out of a network; see `timing.Job`.

        Raises:
            MeasurementError: the GPU does not take it, or not all of it where that is not allowed; the message names
                the adapter and the operators.
        """
        self._log.taken()
        try:
            compiled = self._compiled(tflite, HardwareAccelerator.GPU)
            if compiled.is_fully_accelerated():
                return GpuModel(compiled, is_layer)
        except RuntimeError as error:
            failure: RuntimeError | None = error
        else:
            failure = None
        log = self._log.taken()
        left = left_operators(log)
        if not left:
            words = " ".join(str(failure or last_objection(log)).split())
            raise MeasurementError(f"{self.adapter} does not run this model: {words}") from failure
        described = "; ".join(left)
        if not self._request.allow_partial:
            raise MeasurementError(
                f"{self.adapter} does not take all of this model ({described}); do without these operators, or accept "
                "that they run on the CPU with allow_partial=true in the target"
            ) from failure
        if takes_nothing(log) and not is_layer:
            raise MeasurementError(f"{self.adapter} takes none of this model ({described})") from failure
        self._left.update(dict.fromkeys(left))
        return GpuModel(self._compiled(tflite, HardwareAccelerator.GPU | HardwareAccelerator.CPU), is_layer)

    def taken_left(self) -> tuple[str, ...]:
        """Operators that were left to the CPU since this was last asked."""
        left, self._left = tuple(self._left), {}
        return left

    def _compiled(self, tflite: bytes, where: HardwareAccelerator) -> CompiledModel:
        options = Options(
            hardware_accelerators=where, gpu_options=GpuOptions(enforce_f32=self._request.enforce_float32)
        )
        return CompiledModel.from_buffer(tflite, environment=self._environment, options=options)


class GpuModel:
    """A compiled model with its inputs filled. What it is asked for is there only when its outputs are read back."""

    def __init__(self, compiled: CompiledModel, is_layer: bool) -> None:
        """Makes buffers, and runs the model once: that compiles its kernels."""
        self._compiled = compiled
        self._inputs = compiled.create_input_buffers(0)
        outputs = compiled.create_output_buffers(0)
        generator = np.random.default_rng(_INPUT_SEED)
        self._values = [
            generator.uniform(size=details["shape"]).astype(details["dtype"])
            for details in (buffer.get_tensor_details() for buffer in self._inputs)
        ]
        self._outputs = outputs
        self._sizes = [_numbers(buffer) for buffer in outputs]
        self._feed()
        self._is_layer = is_layer
        self._runs = 1
        self._read_back(range(len(outputs)))

    def run_ms(self) -> float:
        """One run, in milliseconds; the mean of several in a row where one is too short for the clock.

        A run of a network begins with its inputs in the machine's memory and ends with its outputs there. A layer's
        inputs lie on the GPU before, and one of its outputs is fetched: the GPU runs in order, so when it is there, so
        are the others.
        """
        wanted = range(1) if self._is_layer else range(len(self._outputs))
        start = time.perf_counter_ns()
        for _ in range(self._runs):
            if not self._is_layer:
                self._feed()
            self._read_back(wanted)
        return (time.perf_counter_ns() - start) / 1e6 / self._runs

    def choose_runs(self, once_ms: float) -> None:
        """Settles how many runs make a reading, by what one takes."""
        wanted = math.ceil(_LEAST_READING_MS / max(once_ms, 1e-6))
        self._runs = min(max(1, wanted), _MAX_RUNS_OF_A_READING)

    def _feed(self) -> None:
        for buffer, values in zip(self._inputs, self._values, strict=True):
            buffer.write(values)

    def _read_back(self, positions: range) -> None:
        self._compiled.run_by_index(0, self._inputs, self._outputs)
        for position in positions:
            size, number_type = self._sizes[position]
            self._outputs[position].read(size, number_type)


def _numbers(buffer: TensorBuffer) -> tuple[int, np.dtype]:
    details = buffer.get_tensor_details()
    return math.prod(details["shape"]), np.dtype(details["dtype"])
