"""The main loop: NetAdapt's Algorithm 1, from a trained network to one within budget.

    while the network is over a budget:
        tighten the constraint of the budget furthest away by the next step of the schedule
        for every channel group: choose how many filters, choose which, short-term fine-tune
        keep the best proposal; measure it; let the measurement correct the next predictions

With one budget this is the paper's; with several each iteration works for one of them and watches the others.
(Long-term fine-tuning comes after; see `netadapt_tf.adaptation`.)
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import Channels, Kept, Widths
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.filter_choice import strongest
from netadapt_tf.search.filter_scores import scores
from netadapt_tf.search.goals import Goal, unmet
from netadapt_tf.search.proposals import Proposal, Round, proposal_seed, propose
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
        channels: of the network, under the names that they have in the start.
        accuracy: the task's metric on the hold-out set.
        costs: by goal; measured, on the scale of the search's first measurement.
    """

    iteration: int
    network: tf_keras.Model
    channels: Channels
    accuracy: float
    costs: Mapping[str, Measurement]


class Search:
    """One run directory, and the goals that its budgets set."""

    def __init__(
        self,
        goals: Sequence[Goal],
        counted: Callable[[Widths], Mapping[str, int]],
        datasets: Datasets,
        task: Task,
        run: RunDirectory,
        settings: Settings,
        clock: Stopwatch,
    ) -> None:
        """Takes what the search needs to know.

        Args:
            goals: what the network may cost at the end.
            counted: more figures of a network, for the journal.
            datasets: to fine-tune on, and to rank by.
            task: the loss and the metric.
            run: where everything finished is kept.
            settings: how to search.
            clock: adds up where the time goes; each iteration takes a lap.
        """
        self._goals = goals
        self._counted = counted
        self._datasets = datasets
        self._task = task
        self._run = run
        self._settings = settings
        self._clock = clock

    def run(self, start: Iterate) -> Iterate:
        """Iterates until every goal is met by measurement, beyond the measurement's spread.

        Goes on from the last finished iteration in the run directory. Where nothing more can be saved it
        stops, says so, and returns the best it has.

        Args:
            start: the starting network.
        """
        current = self._resumed(start)
        begin, first = time.monotonic(), current.iteration
        while goals := unmet(self._goals, current.costs):
            following = self._iterate(start.channels.widths, current, goals)
            if following is None:
                self._report_end(goals, current)
                break
            current = following
            per_iteration_s = (time.monotonic() - begin) / (current.iteration - first)
            self._report_time_left(current, per_iteration_s)
        return current

    def _iterate(self, start_widths: Widths, current: Iterate, goals: Sequence[Goal]) -> Iterate | None:
        """One round of Algorithm 1: propose, fine-tune, pick, narrow, measure; None when nothing can be saved.

        Args:
            start_widths: of the starting network.
            current: where it starts from.
            goals: those that are not met, the furthest first; the first of them that has proposals is worked for.
        """
        iteration = current.iteration + 1
        channels = current.channels
        for goal in goals:
            cost = current.costs[goal.name]
            constraint = self._settings.schedule.constraint(iteration, cost.start, cost.value, goal.limit)
            with self._clock("measure"):
                proposed = propose(
                    channels.widths,
                    start_widths,
                    self._goals,
                    goal,
                    current.costs,
                    constraint,
                    self._settings.filter_multiple,
                )
            if proposed.proposals:
                break
        else:
            return None
        spec = batch_spec(self._datasets.holdout)
        trainer = Trainer(current.network, self._task, spec, channels, self._settings.short_term_steps)
        weights = current.network.get_weights()
        kept = self._kept(current, iteration, proposed)
        outcomes, best_weights = self._short_term_fine_tunes(trainer, weights, kept, current, iteration, goal, proposed)
        picked = self._pick(outcomes, current, goal, proposed)
        if picked.score == -math.inf:
            raise UserError(
                f"no proposal of iteration {iteration} has a {self._task.metric.name} that is a number: the short-term "
                "fine-tune diverges; lower short_term_learning_rate"
            )
        proposal = next(p for p in proposed.proposals if p.group == picked.group)
        if best_weights is None:  # found in the journal, its weights lost with the interrupted process
            best_weights, _ = self._short_term_fine_tune(trainer, weights, kept, iteration, proposal.group)
        current.network.set_weights(best_weights)
        network = narrow(current.network, channels, {proposal.group: kept[proposal.group]})
        current.network.set_weights(weights)
        widths = {**channels.widths, proposal.group: proposal.filters}
        with self._clock("measure"):
            costs = {
                each.name: relative_to(current.costs[each.name].start, each.resource.measure(widths))
                for each in self._goals
            }
        following = Iterate(iteration, network, channels.at(widths), self._task.metric.score(picked.score), costs)
        self._run.save_iteration(iteration, network, widths)
        self._record(following, proposal, {goal.name: constraint}, widths)
        return following

    def _record(self, iterate: Iterate, proposal: Proposal, constraint: Mapping[str, float], widths: Widths) -> None:
        self._run.journal.append(
            "iteration",
            iteration=iterate.iteration,
            picked=proposal.group,
            filters=proposal.filters,
            accuracy=iterate.accuracy,
            constraint=constraint,
            predicted=proposal.predicted,
            measured={name: cost.value for name, cost in iterate.costs.items()},
            spread={name: cost.spread for name, cost in iterate.costs.items()},
            **self._counted(widths),
            wall_s=self._clock.lap("search_overhead"),
        )
        logging.info(
            "Iteration %d: %s keeps %d filters; hold-out %s %.4f; %s.",
            iterate.iteration,
            proposal.group,
            proposal.filters,
            self._task.metric.name,
            iterate.accuracy,
            "; ".join(
                f"{goal.name} {iterate.costs[goal.name].value:.4g} {goal.resource.unit}, "
                f"predicted {proposal.predicted[goal.name]:.4g}, budget {goal.limit:.4g}"
                for goal in self._goals
            ),
        )

    def _short_term_fine_tunes(
        self,
        trainer: Trainer,
        weights: Sequence[np.ndarray],
        kept: Kept,
        current: Iterate,
        iteration: int,
        goal: Goal,
        proposed: Round,
    ) -> tuple[list[Outcome], list[np.ndarray] | None]:
        """All outcomes, and the weights of the one that is picked, where they are at hand."""
        finished = {
            (record["group"], record["filters"]): record["accuracy"]
            for record in self._run.journal.events("proposal")
            if record["iteration"] == iteration
        }
        outcomes: list[Outcome] = []
        best_weights: list[np.ndarray] | None = None
        with progress(f"iteration {iteration}, proposals", len(proposed.proposals)) as bar:
            for proposal in proposed.proposals:
                accuracy = finished.get((proposal.group, proposal.filters))
                tuned: list[np.ndarray] | None = None
                if accuracy is None:
                    begin = time.monotonic()
                    tuned, accuracy = self._short_term_fine_tune(trainer, weights, kept, iteration, proposal.group)
                    self._run.journal.append(
                        "proposal",
                        iteration=iteration,
                        group=proposal.group,
                        filters=proposal.filters,
                        accuracy=accuracy,
                        predicted=proposal.predicted,
                        wall_s=round(time.monotonic() - begin, 2),
                    )
                cost, score = proposal.predicted[goal.name], self._task.metric.score(accuracy)
                outcome = Outcome(proposal.group, proposal.filters, cost, score)
                outcomes.append(outcome)
                if self._pick(outcomes, current, goal, proposed) is outcome:
                    best_weights = tuned
                bar.update()
        return outcomes, best_weights

    def _short_term_fine_tune(
        self, trainer: Trainer, weights: Sequence[np.ndarray], kept: Kept, iteration: int, group: str
    ) -> tuple[list[np.ndarray], float]:
        seed = self._seed(iteration, group)
        with self._clock("short_term"):
            trainer.restart(weights, {group: kept[group]}, seed)
            trainer.fit(
                endless(self._datasets.train, seed),
                self._settings.short_term_steps,
                constant(self._settings.short_term_learning_rate),
            )
        with self._clock("evaluate"):
            accuracy = trainer.evaluate(self._datasets.holdout)
        return trainer.network.get_weights(), accuracy

    def _kept(self, current: Iterate, iteration: int, proposed: Round) -> Kept:
        """By channel group, the filters that its proposal keeps."""
        score = scores(
            self._settings.filters,
            current.network,
            current.channels,
            endless(self._datasets.train, self._seed(iteration, "")),
            self._task.loss,
            lambda group: self._seed(iteration, group),
        )
        groups = {group.name: group for group in current.channels.groups}
        return {p.group: strongest(score(groups[p.group]), p.filters) for p in proposed.proposals}

    def _seed(self, iteration: int, group: str) -> int:
        return proposal_seed(self._settings.seed, iteration, group)

    def _pick(self, outcomes: Sequence[Outcome], current: Iterate, goal: Goal, proposed: Round) -> Outcome:
        pick = PICKS[self._settings.pick] if proposed.meets_constraint else best_ratio
        score = self._task.metric.score(current.accuracy)
        return pick(outcomes, Standing(current.costs[goal.name].value, score))

    def _resumed(self, start: Iterate) -> Iterate:
        record = self._run.journal.last("iteration")
        if record is None or record["iteration"] == 0:
            return start
        logging.info("Going on after iteration %d.", record["iteration"])
        return Iterate(
            iteration=record["iteration"],
            network=self._run.load_iteration(record["iteration"]),
            channels=start.channels.at(self._run.widths(record["iteration"])),
            accuracy=record["accuracy"],
            costs={
                name: Measurement(cost.start, record["measured"][name], record["spread"][name])
                for name, cost in start.costs.items()
            },
        )

    def _report_end(self, goals: Sequence[Goal], current: Iterate) -> None:
        for goal in goals:
            logging.warning(
                "No channel group can save 1 %% of the starting network's %s any more%s; the search ends at %.4g %s, "
                "with a budget of %.4g.",
                goal.name,
                " without breaking another budget" if len(goals) < len(self._goals) else "",
                current.costs[goal.name].value,
                goal.resource.unit,
                goal.limit,
            )

    def _report_time_left(self, current: Iterate, per_iteration_s: float) -> None:
        costs = [(goal, current.costs[goal.name]) for goal in self._goals]
        left = [
            self._settings.schedule.iterations_left(current.iteration, cost.start, cost.value, goal.limit)
            for goal, cost in costs
        ]
        iterations = max((count for count in left if count is not None), default=0)
        if iterations and None not in left:
            logging.info("About %d more iterations, %s.", iterations, duration(iterations * per_iteration_s))


def relative_to(start_cost: float, measured: Measurement) -> Measurement:
    """A measurement on the scale of the search's first one: only its ratio to the starting network counts."""
    scale = start_cost / measured.start
    return Measurement(start_cost, measured.value * scale, measured.spread * scale)
