"""Measuring on this machine's GPU: a long-lived child process with LiteRT's GPU accelerator in it."""

import os
from typing import TypeVar

from absl import logging

from tflite_bench import timing
from tflite_bench.adapter import Adapter, remarks
from tflite_bench.child_meter import ChildMeter, runtime_version
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.gpu_requests import WHICH_ADAPTER, GpuAnswer
from tflite_bench.host import cpu_model
from tflite_bench.target import ALLOW_PARTIAL, PRECISION, Target

_MAX_DRIFT = 0.05

_Answer = TypeVar("_Answer")


class GpuMeter(ChildMeter):
    """Times models on this machine's GPU; see `ChildMeter`.

    Attributes:
        procedure: how layers are measured with it.
    """

    procedure = timing.Procedure(
        loads=1, reference_loads=1, statistic="the median of one load", max_drift=_MAX_DRIFT, delegated=True
    )

    def __init__(
        self, target: Target, timeout_s: float | None = None, worker_module: str = "tflite_bench.gpu_worker"
    ) -> None:
        """Sees that there is a GPU: the reference network is compiled for it.

        Args:
            target: a `host/gpu` target.
            timeout_s: how long one request may take before the child is taken for hung.
            worker_module: the module that the child runs.

        Raises:
            UserError: no GPU can be used here; the message says why.
        """
        self._target = target
        self._allow_partial = target.option(ALLOW_PARTIAL) == "true"
        self._enforces_float32 = target.option(PRECISION) == "float32"
        self._said: set[str] = set()
        flags = (str(flag).lower() for flag in (self._allow_partial, self._enforces_float32))
        super().__init__(worker_module, tuple(flags), timeout_s)
        self._adapter = self._asked_adapter()
        for remark in remarks(target, self.fingerprint()):
            logging.warning("%s", remark)

    def fingerprint(self) -> dict[str, str | int]:
        """What the readings depend on, without names of machines or people: of the CPU too, which a GPU waits for."""
        return {
            **self._adapter.fingerprint(self._allow_partial),
            "cpu": cpu_model(),
            "cores": os.cpu_count() or 0,
            "runtime": runtime_version(),
            "delegate": "gpu",
            "precision": "float32" if self._enforces_float32 else "float16 where the GPU has it",
        }

    def _ask(self, request: object, answer_type: type[_Answer]) -> _Answer:
        """As `ChildMeter` does; a child that had to be started anew must be on the same adapter."""
        if not self._is_running and request != WHICH_ADAPTER:
            now = self._asked_adapter()
            if now != self._adapter:
                self.close()
                raise UserError(f"target {self._target}: the GPU was {self._adapter}, and is {now} now")
        answer = super()._ask(request, GpuAnswer)
        for operator in answer.left:
            if operator not in self._said:
                logging.warning("On %s this runs on the CPU: %s.", self._target, operator.rstrip("."))
                self._said.add(operator)
        if not isinstance(answer.reply, answer_type):
            raise TypeError(f"{request!r} was answered by {answer.reply!r}")
        return answer.reply

    def _asked_adapter(self) -> Adapter:
        try:
            return self._ask(WHICH_ADAPTER, Adapter)
        except MeasurementError as error:
            self.close()
            raise UserError(f"target {self._target} cannot be had: {error}") from error
