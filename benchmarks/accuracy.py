"""The arithmetic of the table's accuracy: signed errors, raw and corrected, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.configuration import order


@dataclass(frozen=True)
class Trial:
    """A network of widths drawn at random, and the same with one channel group cut further: one step of a search.

    Attributes:
        configuration: which starting network.
        start_ms: the starting network, measured in turn with the drawn one.
        ratio: the drawn network over the starting network, measured in turn.
        step_ratio: the cut network over the starting network, measured in turn.
        start_sum_ms: the table's sum for the starting network.
        sum_ms: its sum for the drawn network.
        step_sum_ms: its sum for the cut network.
    """

    configuration: str
    start_ms: float
    ratio: float
    step_ratio: float
    start_sum_ms: float
    sum_ms: float
    step_sum_ms: float

    @property
    def measured_ms(self) -> float:
        """The drawn network, measured."""
        return self.ratio * self.start_ms

    @property
    def raw(self) -> float:
        """Signed error of the drawn network's sum as it stands."""
        return self.sum_ms / self.measured_ms - 1

    @property
    def corrected_by_start(self) -> float:
        """Signed error of the drawn network's sum, corrected by what the starting network's sum is off."""
        return (self.sum_ms / self.start_sum_ms) / self.ratio - 1

    @property
    def corrected_by_step(self) -> float:
        """Signed error of the cut network's sum, corrected by what the drawn network's sum is off: a search's case."""
        return (self.step_sum_ms / self.sum_ms) / (self.step_ratio / self.ratio) - 1


@dataclass(frozen=True)
class Sizes:
    """What errors come to, their signs left aside."""

    median: float
    largest: float

    def __str__(self) -> str:
        return f"{self.median:6.1%} {self.largest:6.1%}"


def sizes(errors: Iterable[float]) -> Sizes:
    """The median and the largest of the errors' sizes; both nan where there are none."""
    absolute = np.abs(list(errors))
    if not absolute.size:
        return Sizes(float("nan"), float("nan"))
    return Sizes(float(np.median(absolute)), float(np.max(absolute)))


KINDS = {
    "raw": "raw",
    "corrected_by_start": "corrected, start",
    "corrected_by_step": "corrected, step",
}
"""Properties of a `Trial` that are errors, and what they are called in tables and pictures."""


def by_configuration(trials: Iterable[Trial]) -> Mapping[str, Sequence[Trial]]:
    """The trials of each configuration, by network, width multiplier and resolution."""
    result: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: order(trial.configuration)):
        result.setdefault(trial.configuration, []).append(trial)
    return result


def errors_table(trials: Sequence[Trial]) -> str:
    """Every signed error, then the median and the largest size of each configuration and of all, as text."""
    lines = []
    for configuration, group in by_configuration(trials).items():
        lines.append(configuration)
        for kind, name in KINDS.items():
            lines.append(f"  {name:16}" + " ".join(f"{getattr(trial, kind):+6.1%}" for trial in group))
    width = max([20, *(1 + len(trial.configuration) for trial in trials)])
    lines += ["", f"{'median, largest size':{width}}" + "".join(f"{name:>20}" for name in KINDS.values())]
    for configuration, group in (*by_configuration(trials).items(), ("all", trials)):
        cells = [sizes(getattr(trial, kind) for trial in group) for kind in KINDS]
        lines.append(f"{configuration:{width}}" + "".join(f"{cell!s:>20}" for cell in cells))
    return "\n".join(lines)
