"""The short-term fine-tunes of one iteration: every proposal from the same weights, all on one traced step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tf_keras

from netadapt_tf.networks.channel_groups import Channels, Kept
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.search.filter_choice import strongest
from netadapt_tf.search.filter_scores import scores
from netadapt_tf.search.proposals import Proposal, proposal_seed
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Datasets, batch_spec, endless
from netadapt_tf.training.task import Task
from netadapt_tf.training.trainer import Trainer, constant


@dataclass(frozen=True)
class FineTuned:
    """A proposal after its short-term fine-tune.

    Attributes:
        weights: of the network that the iteration starts from, those of the removed channels included.
        accuracy: the task's metric on the hold-out set.
    """

    weights: Sequence[np.ndarray]
    accuracy: float


class ShortTerm:
    """Fine-tunes the proposals of one iteration; the network is left as it was."""

    def __init__(
        self,
        iteration: int,
        network: tf_keras.Model,
        channels: Channels,
        proposals: Sequence[Proposal],
        datasets: Datasets,
        task: Task,
        settings: Settings,
        clock: Stopwatch,
    ) -> None:
        """Chooses which filters every proposal keeps.

        Args:
            iteration: its number.
            network: that it starts from.
            channels: of the network.
            proposals: one for a channel group at most.
            datasets: to fine-tune on, and to judge by.
            task: the loss and the metric.
            settings: how long, how fast, and by which criterion filters are kept.
            clock: adds up where the time goes.
        """
        self._iteration = iteration
        self._network = network
        self._channels = channels
        self._datasets = datasets
        self._settings = settings
        self._clock = clock
        self._weights = network.get_weights()
        self._trainer = Trainer(network, task, batch_spec(datasets.holdout), channels, settings.short_term_steps)
        self._kept = self._chosen_filters(proposals, task)

    def fine_tune(self, group: str) -> FineTuned:
        """A group's proposal, trained a little and judged; the same whenever it is done."""
        seed = self._seed(group)
        with self._clock("short_term"):
            self._trainer.restart(self._weights, {group: self._kept[group]}, seed)
            self._trainer.fit(
                endless(self._datasets.train, seed),
                self._settings.short_term_steps,
                constant(self._settings.short_term_learning_rate),
            )
        with self._clock("evaluate"):
            accuracy = self._trainer.evaluate(self._datasets.holdout)
        fine_tuned = FineTuned(self._network.get_weights(), accuracy)
        self._network.set_weights(self._weights)
        return fine_tuned

    def narrowed(self, group: str, fine_tuned: FineTuned | None) -> tf_keras.Model:
        """The narrower network of a group's proposal.

        Args:
            group: the channel group.
            fine_tuned: its proposal; None fine-tunes it again, as after an interruption.
        """
        self._network.set_weights((fine_tuned or self.fine_tune(group)).weights)
        network = narrow(self._network, self._channels, {group: self._kept[group]})
        self._network.set_weights(self._weights)
        return network

    def _chosen_filters(self, proposals: Sequence[Proposal], task: Task) -> Kept:
        score = scores(
            self._settings.filters,
            self._network,
            self._channels,
            endless(self._datasets.train, self._seed("")),
            task.loss,
            self._seed,
        )
        groups = {group.name: group for group in self._channels.groups}
        return {p.group: strongest(score(groups[p.group]), p.filters) for p in proposals}

    def _seed(self, group: str) -> int:
        return proposal_seed(self._settings.seed, self._iteration, group)
