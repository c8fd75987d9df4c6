"""The way to measure on each target."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.target import Target
from tflite_bench.timing import Meter


class Meters:
    """One meter for each target, opened when first asked for, all closed together."""

    def __init__(self, benchmark_models: Sequence[str] = ()) -> None:
        """Takes what meters may need.

        Args:
            benchmark_models: binaries of the tool of that name, each `[ABI:]PATH`.
        """
        self._benchmark_models = tuple(benchmark_models)
        self._open = ExitStack()
        self._meters: dict[Target, Meter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def of(self, target: Target) -> Meter:
        """The meter of a target.

        Raises:
            UserError: the target cannot be had here.
        """
        if target not in self._meters:
            if target.device != "host":
                raise UserError(f"target {target} cannot be measured yet")
            self._meters[target] = self._open.enter_context(HostMeter(target))
        return self._meters[target]
