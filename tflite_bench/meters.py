"""The way to measure on each target."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from tflite_bench.adb import choose_devices
from tflite_bench.android import Patience, Phone, check_different
from tflite_bench.benchmark_model import check_options, parse_tool_binary
from tflite_bench.errors import UserError
from tflite_bench.gpu import GpuMeter
from tflite_bench.host import HostMeter
from tflite_bench.host_runner import HostRunner
from tflite_bench.places import Runner
from tflite_bench.target import Target
from tflite_bench.timing import Meter
from tflite_bench.tool_meter import ToolMeter


class Meters:
    """One meter for each target, opened when first asked for, all closed together."""

    def __init__(self, benchmark_models: Sequence[str] = (), patience: Patience | None = None) -> None:
        """Takes what meters may need.

        Args:
            benchmark_models: binaries of the tool of that name, each `[ABI:]PATH`.
            patience: how long phones are waited for.

        Raises:
            UserError: a binary cannot be read, or is not what it is said to be.
        """
        self._binaries = [parse_tool_binary(text) for text in benchmark_models]
        self._patience = patience
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
            if target.device == "host" and target.delegate == "gpu":
                self._meters[target] = self._open.enter_context(GpuMeter(target))
            elif target.device == "host":
                self._meters[target] = self._open.enter_context(HostMeter(target))
            else:
                self._meters[target] = self._open.enter_context(self._tool_meter(target))
        return self._meters[target]

    def _tool_meter(self, target: Target) -> ToolMeter:
        check_options(target)
        if not self._binaries:
            raise UserError(f"target {target} needs the tool: name its binary with --benchmark_model=[ABI:]PATH")
        with ExitStack() as opened:
            runners: list[Runner] = []
            if target.device == "benchmark_model":
                runners.append(HostRunner(target, self._binaries))
                opened.callback(runners[-1].close)
            else:
                phones = []
                for adb in choose_devices(target.serials):
                    phones.append(Phone(adb, target, self._binaries, self._patience))
                    opened.callback(phones[-1].close)
                check_different(phones)
                runners += phones
            meter = ToolMeter(runners, target)
            opened.pop_all()  # the meter closes them now
            return meter
