"""The short-term fine-tunes of one iteration: every proposal from the same weights, all on one traced step."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import Channels, Kept
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.search.filter_choice import strongest
from netadapt_tf.search.filter_scores import scores
from netadapt_tf.search.proposals import Proposal, proposal_seed
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Datasets, batch_spec, endless
from netadapt_tf.training.task import Task
from netadapt_tf.training.trainer import Evaluation, Trainer, TrainingState, constant
from netadapt_tf.wording import one_line
from tflite_bench.errors import UserError

_OF_THE_PROPOSAL = (
    tf.errors.InvalidArgumentError,
    tf.errors.OutOfRangeError,
    tf.errors.UnimplementedError,
    ArithmeticError,
)
"""What goes wrong in a proposal wherever and however often it is tried."""

_OF_THE_MACHINE = (tf.errors.OpError, MemoryError)
"""What else may go wrong, now and here: no verdict on the proposal. Any other error is a defect."""


@dataclass(frozen=True)
class Stage:
    """What the proposals of one iteration have in common.

    Attributes:
        iteration: its number.
        network: that it starts from; it stays as it is, except while it is worked on.
        channels: of the network.
        kept: by channel group that proposes something, the filters that stay.
    """

    iteration: int
    network: tf_keras.Model
    channels: Channels
    kept: Kept

    def narrowed(self, group: str, weights: Sequence[np.ndarray]) -> tf_keras.Model:
        """The narrower network of a group's proposal, from the weights of its fine-tune."""
        before = self.network.get_weights()
        self.network.set_weights(weights)
        network = narrow(self.network, self.channels, {group: self.kept[group]})
        self.network.set_weights(before)
        return network


@dataclass(frozen=True)
class Portion:
    """Some steps of a proposal's fine-tune: all of them, or those up to or from where proposals are screened.

    Attributes:
        group: the channel group that the proposal shrinks.
        end: the step that it ends before.
        begin: the step that it begins with.
        state: what the steps before `begin` led to; None where there are none.
    """

    group: str
    end: int
    begin: int = 0
    state: TrainingState | None = None


@dataclass(frozen=True)
class FineTuned:
    """A proposal after a portion of its short-term fine-tune.

    Attributes:
        evaluation: on the hold-out set.
        state: where its training stands; the weights are those of the network that the iteration starts from, removed
            channels included.
        wall_s: how long it took.
    """

    evaluation: Evaluation
    state: TrainingState
    wall_s: float


@dataclass(frozen=True)
class Failed:
    """A proposal that could not be fine-tuned or judged, and why."""

    reason: str
    wall_s: float


Result = FineTuned | Failed


def staged(
    iteration: int,
    network: tf_keras.Model,
    channels: Channels,
    proposals: Sequence[Proposal],
    datasets: Datasets,
    task: Task,
    settings: Settings,
) -> Stage:
    """Chooses which filters every proposal of an iteration keeps.

    Args:
        iteration: its number.
        network: that it starts from.
        channels: of the network.
        proposals: one for a channel group at most.
        datasets: for criteria that look at examples.
        task: the same.
        settings: by which criterion filters are kept.
    """

    def seed(group: str) -> int:
        return proposal_seed(settings.seed, iteration, group)

    score = scores(settings.filters, network, channels, datasets.train, task.loss, seed)
    groups = {group.name: group for group in channels.groups}
    return Stage(
        iteration, network, channels, {p.group: strongest(score(groups[p.group]), p.filters) for p in proposals}
    )


class ShortTerm:
    """Fine-tunes the proposals of one iteration, here and one after the other."""

    def __init__(self, stage: Stage, datasets: Datasets, task: Task, settings: Settings, clock: Stopwatch) -> None:
        """Prepares the step, which is traced once.

        Args:
            stage: what the proposals start from.
            datasets: to fine-tune on, and to judge by.
            task: the loss and the metric.
            settings: how long, and how fast.
            clock: adds up where the time goes.
        """
        self._stage = stage
        self._datasets = datasets
        self._metric = task.metric
        self._settings = settings
        self._clock = clock
        self._weights = stage.network.get_weights()
        self._trainer = Trainer(
            stage.network, task, batch_spec(datasets.holdout), stage.channels, settings.short_term_steps
        )

    def fine_tune(self, portion: Portion) -> Result:
        """A proposal, trained a little and judged; the same wherever, whenever and in how many portions it is done.

        Raises:
            UserError: memory, or something else of this machine, failed twice.
        """
        about = f"the fine-tune of {portion.group} in iteration {self._stage.iteration}"
        try:
            return self._fine_tuned(portion)
        except _OF_THE_MACHINE as error:
            logging.warning("A first try of %s failed (%s); it is tried again.", about, _reason(error))
        try:
            return self._fine_tuned(portion)
        except _OF_THE_MACHINE as error:
            raise UserError(
                f"{about} failed twice, by no fault of the proposal: {_reason(error)}. If memory is short, take fewer "
                "workers or end what else runs; the same command goes on"
            ) from error

    def _fine_tuned(self, portion: Portion) -> Result:
        start = time.monotonic()
        try:
            with self._clock("short_term"):
                loss = self._train(portion)
            with self._clock("evaluate"):
                evaluation = self._trainer.evaluate(self._datasets.holdout)
            state = self._trainer.state()
        except _OF_THE_PROPOSAL as error:
            return Failed(_reason(error), time.monotonic() - start)
        finally:
            self._stage.network.set_weights(self._weights)
        wall_s = time.monotonic() - start
        if portion.end > portion.begin and not math.isfinite(loss):
            return Failed(f"the loss is {loss}", wall_s)
        if not state.is_finite():
            return Failed("a weight is no finite number", wall_s)
        if math.isnan(evaluation.metric):
            return Failed(f"its {self._metric.name} is not a number", wall_s)
        return FineTuned(evaluation, state, wall_s)

    def _train(self, portion: Portion) -> float:
        seed = proposal_seed(self._settings.seed, self._stage.iteration, portion.group)
        kept = {portion.group: self._stage.kept[portion.group]}
        if portion.state is None:
            self._trainer.restart(self._weights, kept, seed)
        else:
            self._trainer.resume(portion.state, kept)
        batches = endless(self._datasets.train, seed)
        return self._trainer.fit(
            islice(batches, portion.begin, None),
            portion.end - portion.begin,
            constant(self._settings.short_term_learning_rate),
        )


def _reason(error: Exception) -> str:
    words = one_line(getattr(error, "message", error)) or "no reason given"
    return f"{type(error).__name__}: {words}"
