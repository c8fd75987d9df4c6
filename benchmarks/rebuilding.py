"""Proposals fine-tuned in two ways, side by side: masked on one traced step, and rebuilt narrower one by one."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.search.executors.executor import Bench, Executor, Serial
from netadapt_tf.search.proposals import proposal_seed
from netadapt_tf.search.short_term import FineTuned, Portion, Result, Stage
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import batch_spec, endless
from netadapt_tf.training.trainer import Trainer, constant, reseed


@dataclass
class Iteration:
    """One iteration's proposals, in the order of the groups.

    Attributes:
        groups: that propose something.
        training_s: seconds in the masked network's steps, by proposal; the first one's include tracing.
        evaluation_s: seconds in its evaluations, likewise.
        rebuilt_s: seconds in all by the narrower networks.
        accuracies: of the masked network on the hold-out set.
        rebuilt_accuracies: of the narrower ones.
    """

    groups: list[str] = field(default_factory=list)
    training_s: list[float] = field(default_factory=list)
    evaluation_s: list[float] = field(default_factory=list)
    rebuilt_s: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    rebuilt_accuracies: list[float] = field(default_factory=list)

    @property
    def picks_alike(self) -> bool:
        """Whether both ways have the same proposal the most accurate."""
        return int(np.argmax(self.accuracies)) == int(np.argmax(self.rebuilt_accuracies))


class SideBySide(Executor):
    """Fine-tunes every proposal in both ways, the one first in turn; the search goes on with the masked results.

    Attributes:
        iterations: what each took.
    """

    def __init__(self, bench: Bench) -> None:
        """Takes what the fine-tunes have in common."""
        self._bench = bench
        self._serial = Serial(bench)
        self._datasets = bench.datasets()
        self._clock = Stopwatch()
        self._stage: Stage
        self.iterations: list[Iteration] = []

    def begin(self, stage: Stage, clock: Stopwatch) -> None:
        """See `Executor`; the search's own clock does not hear of the fine-tunes."""
        self._stage = stage
        self._serial.begin(stage, self._clock)
        self.iterations.append(Iteration())

    def results(self, portions: Sequence[Portion]) -> Iterator[tuple[str, Result]]:
        """See `Executor`."""
        done = self.iterations[-1]
        for position, portion in enumerate(portions):
            if position % 2:
                self._rebuild(portion, done)
            self._clock.lap("before")
            ((group, result),) = self._serial.results([portion])
            lap = self._clock.lap("besides")
            assert isinstance(result, FineTuned)
            done.groups.append(group)
            done.training_s.append(lap["short_term"])
            done.evaluation_s.append(lap["evaluate"])
            done.accuracies.append(result.accuracy)
            if not position % 2:
                self._rebuild(portion, done)
            yield group, result

    def _rebuild(self, portion: Portion, done: Iteration) -> None:
        begin = time.perf_counter()
        stage, settings = self._stage, self._bench.settings
        seed = proposal_seed(settings.seed, stage.iteration, portion.group)
        network = narrow(stage.network, stage.channels, {portion.group: stage.kept[portion.group]})
        reseed(network, seed)
        spec = batch_spec(self._datasets.holdout)
        trainer = Trainer(network, self._bench.task, spec, stage_steps=settings.short_term_steps)
        trainer.fit(endless(self._datasets.train, seed), portion.end, constant(settings.short_term_learning_rate))
        accuracy = trainer.evaluate(self._datasets.holdout)
        done.rebuilt_s.append(time.perf_counter() - begin)
        done.rebuilt_accuracies.append(accuracy)

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""


@dataclass(frozen=True)
class Shares:
    """Where the wall time of a search's iterations went, in seconds, without what was rebuilt beside them."""

    training_s: float
    evaluation_s: float
    measuring_s: float
    else_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.training_s + self.evaluation_s + self.measuring_s + self.else_s

    def __str__(self) -> str:
        parts = {
            "training steps": self.training_s,
            "evaluation": self.evaluation_s,
            "measuring": self.measuring_s,
            "everything else": self.else_s,
        }
        return ", ".join(f"{name} {seconds:.1f} s ({seconds / self.total_s:.1%})" for name, seconds in parts.items())


def shares(iterations: Sequence[Iteration], laps: Sequence[Mapping[str, float]]) -> Shares:
    """Adds up the iterations.

    Tracing is in the first proposal's step and evaluation: what these take more than the median of all counts as
    everything else.

    Args:
        iterations: of the search.
        laps: the journal's seconds of each, by kind of work.
    """
    training_s = sum(len(one.training_s) * float(np.median(one.training_s)) for one in iterations)
    evaluation_s = sum(len(one.evaluation_s) * float(np.median(one.evaluation_s)) for one in iterations)
    measuring_s = sum(lap["measure"] for lap in laps)
    total_s = sum(_total_s(one, lap) for one, lap in zip(iterations, laps, strict=True))
    return Shares(training_s, evaluation_s, measuring_s, total_s - training_s - evaluation_s - measuring_s)


def speed_ups(iterations: Sequence[Iteration], laps: Sequence[Mapping[str, float]]) -> list[float]:
    """By iteration, the narrower networks' seconds over all that the masked iteration took, but for measuring.

    What a search that rebuilds does besides (proposals, filters, the journal) is left out, to its advantage.
    """
    return [
        sum(one.rebuilt_s) / (_total_s(one, lap) - lap["measure"]) for one, lap in zip(iterations, laps, strict=True)
    ]


def _total_s(iteration: Iteration, lap: Mapping[str, float]) -> float:
    return sum(lap.values()) - sum(iteration.rebuilt_s)
