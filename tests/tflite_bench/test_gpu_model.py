"""What is compiled for what, and what is inside the timed region, on stand-ins of LiteRT that write it down."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import Options

from tflite_bench import gpu_model
from tflite_bench.errors import MeasurementError
from tflite_bench.gpu_model import Accelerator, GpuModel, GpuRequest
from tflite_bench.reference import reference_network

_TAKES_NS = {"write": 20_000, "run": 100_000, "read": 50_000}
_NETWORK_MS, _LAYER_MS = 0.02 + 0.1 + 2 * 0.05, 0.1 + 0.05


class _Buffer:
    def __init__(self, name: str, events: list[str], numbers: int) -> None:
        self._name, self._events, self._numbers = name, events, numbers

    def get_tensor_details(self) -> dict[str, Any]:
        return {"dtype": "float32", "shape": [1, self._numbers]}

    def write(self, values: np.ndarray) -> None:
        assert values.shape == (1, self._numbers)
        self._events.append(f"write {self._name}")

    def read(self, size: int, number_type: np.dtype) -> None:
        assert (size, number_type) == (self._numbers, np.dtype("float32"))
        self._events.append(f"read {self._name}")


class _Compiled:
    def __init__(self, is_taken_whole: bool = True) -> None:
        self.events: list[str] = []
        self._is_taken_whole = is_taken_whole

    def is_fully_accelerated(self) -> bool:
        return self._is_taken_whole

    def create_input_buffers(self, signature: int) -> list[_Buffer]:
        return [_Buffer("input", self.events, 3)]

    def create_output_buffers(self, signature: int) -> list[_Buffer]:
        return [_Buffer("first", self.events, 2), _Buffer("second", self.events, 5)]

    def run_by_index(self, signature: int, inputs: list[_Buffer], outputs: list[_Buffer]) -> None:
        self.events.append("run")


@pytest.fixture
def compiled(monkeypatch) -> Any:
    """On a clock by which nothing takes time but what it is asked for."""
    compiled = _Compiled()
    monkeypatch.setattr(
        gpu_model.time, "perf_counter_ns", lambda: sum(_TAKES_NS[event.split()[0]] for event in compiled.events)
    )
    return compiled


def events_of_a_reading(compiled: Any, model: GpuModel, ms: float) -> list[str]:
    compiled.events.clear()
    assert model.run_ms() == pytest.approx(ms)
    return compiled.events


def test_a_run_of_a_network_is_fed_and_all_of_it_is_read_back(compiled):
    model = GpuModel(compiled, is_layer=False)
    assert events_of_a_reading(compiled, model, _NETWORK_MS) == ["write input", "run", "read first", "read second"]


def test_a_run_of_a_layer_finds_its_input_there_and_is_waited_for(compiled):
    model = GpuModel(compiled, is_layer=True)
    assert compiled.events == ["write input", "run", "read first", "read second"], "it is run once, to be compiled"
    assert events_of_a_reading(compiled, model, _LAYER_MS) == ["run", "read first"]


def test_what_is_too_short_for_the_clock_is_run_several_times_each_run_read_back(compiled):
    model = GpuModel(compiled, is_layer=True)
    model.choose_runs(once_ms=0.2)
    assert events_of_a_reading(compiled, model, _LAYER_MS) == ["run", "read first"] * 3
    model.choose_runs(once_ms=5.0)
    assert events_of_a_reading(compiled, model, _LAYER_MS) == ["run", "read first"]
    model.choose_runs(once_ms=0.0)
    assert 3 < events_of_a_reading(compiled, model, _LAYER_MS).count("run") < 1000


WHOLE, PARTLY, UNSPOKEN = b"taken whole", b"taken in part", b"not taken, and nothing is said of it"
_SELECTED = "Selected adapter: Some GPU, arch=some, vendor=some, backend=Vulkan, adapterType=Discrete GPU\n"
_LEFT = "Following operations are not supported by GPU delegate:\nZEROS_LIKE: Operation is not supported.\n"


class _LiteRt:
    """LiteRT, which compiles without complaint, and says in its log and when asked what the GPU takes."""

    def __init__(self) -> None:
        self.says = {reference_network(): _SELECTED, PARTLY: _LEFT}
        self.not_whole = {PARTLY, UNSPOKEN}
        self.asked: list[Options] = []
        self.compiled: list[_Compiled] = []
        self._log = ""

    def from_buffer(self, tflite: bytes, environment: object, options: Options) -> _Compiled:
        self.asked.append(options)
        self._log += self.says.get(tflite, "")
        self.compiled.append(_Compiled(tflite not in self.not_whole))
        return self.compiled[-1]

    def taken(self) -> str:
        log, self._log = self._log, ""
        return log


@pytest.fixture
def litert(monkeypatch) -> _LiteRt:
    litert = _LiteRt()
    monkeypatch.setattr(gpu_model, "CompiledModel", litert)
    monkeypatch.setattr(gpu_model, "NativeLog", lambda: litert)
    monkeypatch.setattr(gpu_model, "Environment", SimpleNamespace(create=lambda: None))
    monkeypatch.setattr(gpu_model, "vulkan_drivers", lambda: {"Some GPU": "some driver 1.2"})
    return litert


@pytest.mark.parametrize("enforce_float32", [False, True])
def test_every_model_is_compiled_for_the_gpu_alone_and_in_the_precision_that_was_asked_for(litert, enforce_float32):
    accelerator = Accelerator(GpuRequest(enforce_float32=enforce_float32))
    accelerator.load(WHOLE)
    with pytest.raises(MeasurementError):
        accelerator.load(PARTLY)
    assert [options.hardware_accelerators for options in litert.asked] == [HardwareAccelerator.GPU] * 3
    assert [options.gpu_options.enforce_f32 for options in litert.asked] == [enforce_float32] * 3


def test_the_cpu_is_asked_too_only_for_what_the_gpu_leaves_where_that_is_allowed(litert):
    accelerator = Accelerator(GpuRequest(allow_partial=True))
    accelerator.load(WHOLE)
    assert accelerator.taken_left() == ()
    assert HardwareAccelerator.CPU not in litert.asked[-1].hardware_accelerators
    accelerator.load(PARTLY)
    assert litert.asked[-1].hardware_accelerators == HardwareAccelerator.GPU | HardwareAccelerator.CPU
    assert accelerator.taken_left() == ("ZEROS_LIKE: Operation is not supported.",)
    assert accelerator.taken_left() == ()


@pytest.mark.parametrize("tflite", [WHOLE, PARTLY])
def test_a_layer_is_run_as_one_however_much_of_it_is_taken(litert, tflite):
    model = Accelerator(GpuRequest(allow_partial=True)).load(tflite, is_layer=True)
    litert.compiled[-1].events.clear()
    model.run_ms()
    assert litert.compiled[-1].events == ["run", "read first"]


def test_what_is_compiled_but_not_fully_accelerated_is_refused_by_adapter_and_operator(litert):
    with pytest.raises(MeasurementError, match=r"Some GPU \(some driver 1.2\) does not take all .*\(ZEROS_LIKE"):
        Accelerator(GpuRequest()).load(PARTLY)


@pytest.mark.parametrize("allow_partial", [False, True])
def test_what_the_log_does_not_explain_is_refused_whatever_was_said_before(litert, allow_partial):
    accelerator = Accelerator(GpuRequest(allow_partial))
    if allow_partial:
        accelerator.load(PARTLY)
    with pytest.raises(
        MeasurementError, match=r"Some GPU \(some driver 1.2\) does not run this model: it says nothing"
    ):
        accelerator.load(UNSPOKEN)


@pytest.mark.parametrize("allow_partial", [False, True])
def test_no_gpu_is_believed_that_is_not_named_or_leaves_the_reference_network(litert, allow_partial):
    litert.not_whole.add(reference_network())
    with pytest.raises(MeasurementError, match="none is believed"):
        Accelerator(GpuRequest(allow_partial))
    litert.not_whole.clear()
    Accelerator(GpuRequest(allow_partial))
    litert.says.clear()
    with pytest.raises(MeasurementError, match="none is believed"):
        Accelerator(GpuRequest(allow_partial))
