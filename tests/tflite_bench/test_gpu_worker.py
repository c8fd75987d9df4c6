"""How long a model is run before it is timed, on a stand-in of one."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tflite_bench import gpu_worker


class _Model:
    """Takes what it is told, run by run."""

    def __init__(self, runs_ms: Iterable[float]) -> None:
        self._runs_ms: Iterator[float] = iter(runs_ms)
        self.spent_ms: list[float] = []
        self.runs_chosen_by_ms: list[float] = []

    def run_ms(self) -> float:
        self.spent_ms.append(next(self._runs_ms))
        return self.spent_ms[-1]

    def choose_runs(self, once_ms: float) -> None:
        self.runs_chosen_by_ms.append(once_ms)


def test_a_model_is_run_until_three_runs_get_no_shorter():
    model: Any = _Model([40.0, 20.0, 21.0, 10.0, 9.0, 11.0, 9.5, 30.0, 9.4, 1.0])
    assert gpu_worker._settled_ms(model) == 9.5
    assert len(model.spent_ms) == 9


def test_a_model_that_never_settles_is_run_for_two_seconds():
    model: Any = _Model(800.0 / 2 ** (run // 3) for run in range(100))
    assert gpu_worker._settled_ms(model) == 800.0
    model = _Model(400.0 / 2 ** (run // 3) for run in range(100))
    assert gpu_worker._settled_ms(model) == 100.0
    assert sum(model.spent_ms) == pytest.approx(2100.0)


class _Accelerator:
    """Compiles models that take 3, 2, then 1 ms, and 0.1 ms from then on."""

    def __init__(self) -> None:
        self.loaded: list[tuple[bytes, bool]] = []

    def load(self, tflite: bytes, is_layer: bool) -> _Model:
        self.loaded.append((tflite, is_layer))
        return _Model([3.0] * 3 + [2.0] * 3 + [1.0] * 3 + [0.1] * 100)


@pytest.mark.parametrize("is_layer", [False, True])
def test_a_model_is_loaded_as_what_it_is_and_its_runs_are_chosen_by_what_a_settled_one_takes(is_layer):
    accelerator: Any = _Accelerator()
    model: Any = gpu_worker._Watch(accelerator).load(b"model", is_layer)
    assert accelerator.loaded == [(b"model", is_layer)]
    assert model.runs_chosen_by_ms == [0.1]
