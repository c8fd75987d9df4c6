"""What screening would do in a search: every proposal stops where it would be compared, is evaluated, and goes on."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from netadapt_tf.search.executors.executor import Bench, Executor, Serial
from netadapt_tf.search.screening import screening_steps, survivors
from netadapt_tf.search.short_term import FineTuned, Portion, Result, Stage
from netadapt_tf.stopwatch import Stopwatch


@dataclass
class Trial:
    """One iteration's proposals.

    Attributes:
        screened: accuracies after the first steps.
        accuracies: after all.
        first_s: seconds for the first steps, evaluation included.
        rest_s: seconds for the others, evaluation included.
        evaluation_s: of which one evaluation took.
    """

    screened: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    rest_s: list[float] = field(default_factory=list)
    evaluation_s: list[float] = field(default_factory=list)

    @property
    def kept(self) -> np.ndarray:
        """Positions of the proposals that screening would fine-tune to the end."""
        return np.argsort(-np.array(self.screened), kind="stable")[: survivors(len(self.screened))]

    @property
    def keeps_the_best(self) -> bool:
        """Whether the same proposal would be picked."""
        return int(np.argmax(self.accuracies)) in self.kept

    @property
    def lost(self) -> float:
        """How much less accurate the pick would be."""
        return max(self.accuracies) - max(self.accuracies[position] for position in self.kept)

    @property
    def saved(self) -> float:
        """The share of the fine-tunes' time that screening would save; the first one, which traces, is no exception."""
        first, rest, evaluation = (
            float(np.median(seconds)) for seconds in (self.first_s, self.rest_s, self.evaluation_s)
        )
        count = len(self.first_s)
        return 1 - (count * first + len(self.kept) * rest) / (count * (first + rest - evaluation))


class Watched(Executor):
    """One proposal after the other, compared on its way.

    Attributes:
        trials: by iteration.
    """

    def __init__(self, bench: Bench) -> None:
        """Takes what the fine-tunes have in common."""
        self._serial = Serial(bench)
        self._clock = Stopwatch()
        self.trials: list[Trial] = []

    def begin(self, stage: Stage, clock: Stopwatch) -> None:
        """See `Executor`."""
        self._serial.begin(stage, self._clock)
        self.trials.append(Trial())

    def results(self, portions: Sequence[Portion]) -> Iterator[tuple[str, Result]]:
        """See `Executor`."""
        trial = self.trials[-1]
        for portion in portions:
            halt = screening_steps(portion.end)
            begin = time.perf_counter()
            first = self._result(Portion(portion.group, halt))
            middle = time.perf_counter()
            self._clock.lap("before")
            last = self._result(Portion(portion.group, portion.end, halt, first.state))
            trial.evaluation_s.append(self._clock.lap("besides")["evaluate"])
            trial.first_s.append(middle - begin)
            trial.rest_s.append(time.perf_counter() - middle)
            trial.screened.append(first.evaluation.metric)
            trial.accuracies.append(last.evaluation.metric)
            yield portion.group, last

    def _result(self, portion: Portion) -> FineTuned:
        ((_, result),) = self._serial.results([portion])
        assert isinstance(result, FineTuned)
        return result

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""
