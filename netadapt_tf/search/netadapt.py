"""The main loop: NetAdapt's Algorithm 1, from a trained network to one within budget.

    while the network is over budget:
        tighten the constraint by the next step of the schedule
        for every channel group: choose how many filters, choose which, short-term fine-tune
        keep the best proposal; measure it; let the measurement correct the next predictions

(Long-term fine-tuning comes after; see `netadapt_tf.adaptation`.)
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import Widths, find_channel_groups, widths_of
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.resources.resource import Measurement, Resource
from netadapt_tf.search.proposals import Proposal, proposal_seed, propose
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.search.selection import PICKS, Outcome, Standing, best_ratio
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import Stopwatch, duration
from netadapt_tf.training.datasets import Datasets, batch_spec, endless
from netadapt_tf.training.task import Task
from netadapt_tf.training.trainer import Trainer, constant
from tflite_bench.errors import UserError
from tflite_bench.progress import progress


@dataclass(frozen=True)
class Iterate:
    """The network after an iteration; the start is iteration 0.

    Attributes:
        iteration: its number.
        network: the network, fine-tuned as far as the search does.
        accuracy: the task's metric on the hold-out set.
        cost: measured, in the unit of the budget's resource, relative to the search's first measurement.
        spread: by how much `cost` may be off.
    """

    iteration: int
    network: tf_keras.Model
    accuracy: float
    cost: float
    spread: float

    @property
    def at_most(self) -> float:
        """What it costs beyond doubt."""
        return self.cost + self.spread


class Search:
    """One budget, one run directory."""

    def __init__(
        self,
        name: str,
        resource: Resource,
        limit: float,
        datasets: Datasets,
        task: Task,
        run: RunDirectory,
        settings: Settings,
        clock: Stopwatch,
    ) -> None:
        """Takes what the search needs to know.

        Args:
            name: of the budget's resource, as in the journal.
            resource: predicts and measures.
            limit: what the network may cost at the end, in the resource's unit.
            datasets: to fine-tune on, and to rank by.
            task: the loss and the metric.
            run: where everything finished is kept.
            settings: how to search.
            clock: adds up where the time goes; each iteration takes a lap.
        """
        self._name = name
        self._resource = resource
        self._limit = limit
        self._datasets = datasets
        self._task = task
        self._run = run
        self._settings = settings
        self._clock = clock

    def run(self, start: Iterate) -> Iterate:
        """Iterates until the budget is met by measurement, beyond the measurement's spread.

        Goes on from the last finished iteration in the run directory. Where nothing more can be saved it
        stops, says so, and returns the best it has.

        Args:
            start: the starting network.
        """
        start_widths = widths_of(find_channel_groups(start.network))
        current = self._resumed(start)
        begin, first = time.monotonic(), current.iteration
        while current.at_most > self._limit:
            iteration = current.iteration + 1
            constraint = self._settings.schedule.constraint(iteration, start.cost, current.cost, self._limit)
            following = self._iterate(start, start_widths, current, iteration, constraint)
            if following is None:
                logging.warning(
                    "No channel group can save 1 %% of the starting network's %s any more; the search ends at %.4g %s, "
                    "with a budget of %.4g.",
                    self._name,
                    current.cost,
                    self._resource.unit,
                    self._limit,
                )
                break
            current = following
            per_iteration_s = (time.monotonic() - begin) / (iteration - first)
            self._report_time_left(start.cost, current, per_iteration_s)
        return current

    def _iterate(
        self, start: Iterate, start_widths: Widths, current: Iterate, iteration: int, constraint: float
    ) -> Iterate | None:
        """One round of Algorithm 1: propose, fine-tune, pick, narrow, measure; None when nothing can be saved."""
        groups = find_channel_groups(current.network)
        # Within the budget, but not beyond doubt: predictions start from the doubt, or nothing would have to be cut.
        cost = current.cost if current.cost > self._limit else current.at_most
        multiple = self._settings.filter_multiple
        with self._clock("measure"):
            proposed = propose(
                current.network, groups, start_widths, start.cost, cost, self._resource, constraint, multiple
            )
        if not proposed.proposals:
            return None
        spec = batch_spec(self._datasets.holdout)
        trainer = Trainer(current.network, self._task, spec, groups, self._settings.short_term_steps)
        weights = current.network.get_weights()
        outcomes, best_weights = self._short_term_fine_tunes(
            trainer, weights, current, iteration, proposed.proposals, proposed.meets_constraint
        )
        picked = self._pick(outcomes, current, proposed.meets_constraint)
        if picked.score == -math.inf:
            raise UserError(
                f"no proposal of iteration {iteration} has a {self._task.metric.name} that is a number: the short-term "
                "fine-tune diverges; lower short_term_learning_rate"
            )
        proposal = next(p for p in proposed.proposals if p.group == picked.group)
        if best_weights is None:  # found in the journal, its weights lost with the interrupted process
            best_weights, _ = self._short_term_fine_tune(trainer, weights, iteration, proposal)
        current.network.set_weights(best_weights)
        network = narrow(current.network, groups, {proposal.group: proposal.kept})
        current.network.set_weights(weights)
        widths = widths_of(find_channel_groups(network))
        with self._clock("measure"):
            measured = relative_to(start.cost, self._resource.measure(widths))
        accuracy = self._task.metric.score(picked.score)
        following = Iterate(iteration, network, accuracy, measured.value, measured.spread)
        self._run.save_iteration(iteration, network, widths)
        self._record(following, picked, constraint)
        return following

    def _record(self, iterate: Iterate, picked: Outcome, constraint: float) -> None:
        self._run.journal.append(
            "iteration",
            iteration=iterate.iteration,
            picked=picked.group,
            filters=picked.filters,
            accuracy=iterate.accuracy,
            constraint={self._name: constraint},
            predicted={self._name: picked.cost},
            measured={self._name: iterate.cost},
            spread={self._name: iterate.spread},
            wall_s=self._clock.lap("search_overhead"),
        )
        logging.info(
            "Iteration %d: %s keeps %d filters; hold-out %s %.4f; %s %.4g %s, predicted %.4g, budget %.4g.",
            iterate.iteration,
            picked.group,
            picked.filters,
            self._task.metric.name,
            iterate.accuracy,
            self._name,
            iterate.cost,
            self._resource.unit,
            picked.cost,
            self._limit,
        )

    def _short_term_fine_tunes(
        self,
        trainer: Trainer,
        weights: Sequence[np.ndarray],
        current: Iterate,
        iteration: int,
        proposals: Sequence[Proposal],
        meets_constraint: bool,
    ) -> tuple[list[Outcome], list[np.ndarray] | None]:
        """All outcomes, and the weights of the one that is picked, where they are at hand."""
        finished = {
            (record["group"], record["filters"]): record["accuracy"]
            for record in self._run.journal.events("proposal")
            if record["iteration"] == iteration
        }
        outcomes: list[Outcome] = []
        best_weights: list[np.ndarray] | None = None
        with progress(f"iteration {iteration}, proposals", len(proposals)) as bar:
            for proposal in proposals:
                accuracy = finished.get((proposal.group, proposal.filters))
                tuned: list[np.ndarray] | None = None
                if accuracy is None:
                    begin = time.monotonic()
                    tuned, accuracy = self._short_term_fine_tune(trainer, weights, iteration, proposal)
                    self._run.journal.append(
                        "proposal",
                        iteration=iteration,
                        group=proposal.group,
                        filters=proposal.filters,
                        accuracy=accuracy,
                        predicted={self._name: proposal.cost},
                        wall_s=round(time.monotonic() - begin, 2),
                    )
                outcome = Outcome(proposal.group, proposal.filters, proposal.cost, self._task.metric.score(accuracy))
                outcomes.append(outcome)
                if self._pick(outcomes, current, meets_constraint) is outcome:
                    best_weights = tuned
                bar.update()
        return outcomes, best_weights

    def _short_term_fine_tune(
        self, trainer: Trainer, weights: Sequence[np.ndarray], iteration: int, proposal: Proposal
    ) -> tuple[list[np.ndarray], float]:
        seed = proposal_seed(self._settings.seed, iteration, proposal.group)
        with self._clock("short_term"):
            trainer.restart(weights, {proposal.group: proposal.kept}, seed)
            trainer.fit(
                endless(self._datasets.train, seed),
                self._settings.short_term_steps,
                constant(self._settings.short_term_learning_rate),
            )
        with self._clock("evaluate"):
            accuracy = trainer.evaluate(self._datasets.holdout)
        return trainer.network.get_weights(), accuracy

    def _pick(self, outcomes: Sequence[Outcome], current: Iterate, meets_constraint: bool) -> Outcome:
        pick = PICKS[self._settings.pick] if meets_constraint else best_ratio
        return pick(outcomes, Standing(current.cost, self._task.metric.score(current.accuracy)))

    def _resumed(self, start: Iterate) -> Iterate:
        record = self._run.journal.last("iteration")
        if record is None or record["iteration"] == 0:
            return start
        logging.info("Going on after iteration %d.", record["iteration"])
        return Iterate(
            iteration=record["iteration"],
            network=self._run.load_iteration(record["iteration"]),
            accuracy=record["accuracy"],
            cost=record["measured"][self._name],
            spread=record["spread"][self._name],
        )

    def _report_time_left(self, start_cost: float, current: Iterate, per_iteration_s: float) -> None:
        iterations = self._settings.schedule.iterations_left(current.iteration, start_cost, current.cost, self._limit)
        if iterations:
            logging.info("About %d more iterations, %s.", iterations, duration(iterations * per_iteration_s))


def relative_to(start_cost: float, measured: Measurement) -> Measurement:
    """A measurement on the scale of the search's first one: only its ratio to the starting network counts."""
    scale = start_cost / measured.start
    return Measurement(start_cost, measured.value * scale, measured.spread * scale)
