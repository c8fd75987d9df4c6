"""What every executor does, and the one that needs no other process."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from netadapt_tf.search.short_term import Portion, Result, ShortTerm, Stage
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import Task


@dataclass(frozen=True)
class Bench:
    """What fine-tunes of all iterations have in common; sent to each worker once.

    Attributes:
        datasets: returns what to fine-tune on, and to judge by.
        task: the loss and the metric.
        settings: how long, and how fast.
    """

    datasets: Callable[[], Datasets]
    task: Task
    settings: Settings


class Executor(AbstractContextManager, ABC):
    """Fine-tunes the proposals of one iteration after the other; the context manager ends whatever works for it."""

    @abstractmethod
    def begin(self, stage: Stage, clock: Stopwatch) -> None:
        """A new iteration, which all that follows is about.

        Args:
            stage: what its proposals start from.
            clock: adds up where the time goes.
        """

    @abstractmethod
    def results(self, portions: Sequence[Portion]) -> Iterator[tuple[str, Result]]:
        """Fine-tunes proposals; yields each one's channel group and result as it is there, in whatever order.

        Raises:
            UserError: a proposal's worker was lost each time that it was tried.
        """


class Serial(Executor):
    """One proposal after the other, in this process."""

    def __init__(self, bench: Bench) -> None:
        """Takes what the fine-tunes have in common."""
        self._bench = bench
        self._datasets = bench.datasets()
        self._short_term: ShortTerm

    def begin(self, stage: Stage, clock: Stopwatch) -> None:
        """See `Executor`."""
        self._short_term = ShortTerm(stage, self._datasets, self._bench.task, self._bench.settings, clock)

    def results(self, portions: Sequence[Portion]) -> Iterator[tuple[str, Result]]:
        """See `Executor`; in the order given."""
        for portion in portions:
            yield portion.group, self._short_term.fine_tune(portion)

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""
