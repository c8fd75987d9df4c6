"""What is inside the timed region, on a stand-in of LiteRT that writes down what it is asked for."""

from typing import Any

import numpy as np
import pytest

from tflite_bench import gpu_model
from tflite_bench.gpu_model import GpuModel

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
    def __init__(self) -> None:
        self.events: list[str] = []

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
    assert compiled.events[0] == "write input"
    assert events_of_a_reading(compiled, model, _LAYER_MS) == ["run", "read first"]


def test_what_is_too_short_for_the_clock_is_run_several_times_each_run_read_back(compiled):
    model = GpuModel(compiled, is_layer=True)
    model.choose_runs(once_ms=0.2)
    assert events_of_a_reading(compiled, model, _LAYER_MS) == ["run", "read first"] * 3
    model.choose_runs(once_ms=5.0)
    assert events_of_a_reading(compiled, model, _LAYER_MS) == ["run", "read first"]
    model.choose_runs(once_ms=0.0)
    assert 3 < events_of_a_reading(compiled, model, _LAYER_MS).count("run") < 1000
