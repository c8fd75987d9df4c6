"""Proposals fine-tuned in three ways, side by side: masked on one traced step, and rebuilt narrower, in two ways."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tf_keras

from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.search.executors.executor import Bench, Executor, Serial
from netadapt_tf.search.proposals import proposal_seed
from netadapt_tf.search.short_term import FineTuned, Portion, Result, Stage
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import batch_spec, endless, epoch, epoch_seed
from netadapt_tf.training.trainer import MOMENTUM, Trainer, constant, reseed

REBUILT, KERAS = "a rebuild for each proposal", "the same with Keras' own compile and fit"


@dataclass
class Rebuilt:
    """What the narrower networks came to, by proposal.

    Attributes:
        seconds: that each took, from building it to its accuracy.
        accuracies: on the hold-out set.
    """

    seconds: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)


@dataclass
class Iteration:
    """One iteration's proposals, in the order of the groups.

    Attributes:
        training_s: seconds in the masked network's steps, by proposal; the first one's include tracing.
        evaluation_s: seconds in its evaluations, likewise.
        accuracies: of the masked network on the hold-out set.
        rebuilt: the narrower networks, by how they are trained.
    """

    training_s: list[float] = field(default_factory=list)
    evaluation_s: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    rebuilt: dict[str, Rebuilt] = field(default_factory=lambda: {REBUILT: Rebuilt(), KERAS: Rebuilt()})

    def picks_alike(self, way: str) -> bool:
        """Whether the most accurate proposal is the same, masked and rebuilt this way."""
        return int(np.argmax(self.accuracies)) == int(np.argmax(self.rebuilt[way].accuracies))


class SideBySide(Executor):
    """Fine-tunes every proposal in all ways, the one first in turn; the search goes on with the masked results.

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
        trained_by: dict[str, Callable[[tf_keras.Model, int, int], float]] = {
            REBUILT: self._by_step,
            KERAS: self._by_fit,
        }
        for position, portion in enumerate(portions):
            ways = [None, REBUILT, KERAS]
            for way in ways[position % 3 :] + ways[: position % 3]:
                if way is None:
                    masked = self._mask(portion, done)
                else:
                    self._rebuild(portion, done.rebuilt[way], trained_by[way])
            yield portion.group, masked

    def _mask(self, portion: Portion, done: Iteration) -> FineTuned:
        self._clock.lap("before")
        ((_, result),) = self._serial.results([portion])
        lap = self._clock.lap("besides")
        assert isinstance(result, FineTuned)
        done.training_s.append(lap["short_term"])
        done.evaluation_s.append(lap["evaluate"])
        done.accuracies.append(result.evaluation.metric)
        return result

    def _rebuild(self, portion: Portion, done: Rebuilt, train: Callable[[tf_keras.Model, int, int], float]) -> None:
        begin = time.perf_counter()
        stage = self._stage
        seed = proposal_seed(self._bench.settings.seed, stage.iteration, portion.group)
        network = narrow(stage.network, stage.channels, {portion.group: stage.kept[portion.group]})
        accuracy = train(network, portion.end, seed)
        done.seconds.append(time.perf_counter() - begin)
        done.accuracies.append(accuracy)

    def _by_step(self, network: tf_keras.Model, steps: int, seed: int) -> float:
        """Trains and judges with the step that everything else here is trained with, traced anew."""
        settings = self._bench.settings
        reseed(network, seed)
        spec = batch_spec(self._datasets.holdout)
        trainer = Trainer(network, self._bench.task, spec, stage_steps=settings.short_term_steps)
        trainer.fit(endless(self._datasets.train, seed), steps, constant(settings.short_term_learning_rate))
        return trainer.evaluate(self._datasets.holdout).metric

    def _by_fit(self, network: tf_keras.Model, steps: int, seed: int) -> float:
        """Trains and judges as one would without this project; batch norms follow as slowly as Keras lets them."""
        sgd = tf_keras.optimizers.SGD(self._bench.settings.short_term_learning_rate, MOMENTUM, nesterov=True)
        network.compile(sgd, "sparse_categorical_crossentropy", ["accuracy"])
        batches = epoch(self._datasets.train, epoch_seed(seed, 0)).repeat()
        network.fit(batches, steps_per_epoch=steps, verbose=0)
        return network.evaluate(self._datasets.holdout, verbose=0)[1]

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
    everything else, and nothing of the others.

    Args:
        iterations: of the search.
        laps: the journal's seconds of each, by kind of work.
    """
    training_s = sum(_without_tracing(one.training_s) for one in iterations)
    evaluation_s = sum(_without_tracing(one.evaluation_s) for one in iterations)
    measuring_s = sum(lap["measure"] for lap in laps)
    total_s = sum(_total_s(one, lap) for one, lap in zip(iterations, laps, strict=True))
    return Shares(training_s, evaluation_s, measuring_s, total_s - training_s - evaluation_s - measuring_s)


def _without_tracing(seconds: Sequence[float]) -> float:
    first, *others = seconds
    return min(first, float(np.median(seconds))) + sum(others)


def speed_ups(way: str, iterations: Sequence[Iteration], laps: Sequence[Mapping[str, float]]) -> list[float]:
    """By iteration, the narrower networks' seconds over all that the masked iteration took, but for measuring.

    What a search that rebuilds does besides (proposals, filters, the journal) is left out, to its advantage.
    """
    return [
        sum(one.rebuilt[way].seconds) / (_total_s(one, lap) - lap["measure"])
        for one, lap in zip(iterations, laps, strict=True)
    ]


def _total_s(iteration: Iteration, lap: Mapping[str, float]) -> float:
    return sum(lap.values()) - sum(sum(rebuilt.seconds) for rebuilt in iteration.rebuilt.values())
