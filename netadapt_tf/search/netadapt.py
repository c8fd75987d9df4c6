"""The main loop: NetAdapt's Algorithm 1, from a trained network to one within budget.

    while the network is over a budget:
        tighten the constraint of the budget furthest away by the next step of the schedule
        for every channel group: choose how many filters, choose which, short-term fine-tune
        keep the best proposal; measure it; let the measurement correct the next predictions
        (where that is asked for: let it recover in a mid-term fine-tune)

With one budget this is the paper's; with several each iteration works for one of them and watches the others.
(Long-term fine-tuning comes after; see `netadapt_tf.adaptation`.)
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import tf_keras
from absl import logging

from netadapt_tf.figures import amount, number, score
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.resources.surprise import settled
from netadapt_tf.search.contest import Contest
from netadapt_tf.search.executors.executor import Executor
from netadapt_tf.search.goals import Goal, unmet
from netadapt_tf.search.iterate import Iterate, recorded, relative_to
from netadapt_tf.search.proposals import Proposal, Round, propose
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.search.selection import PICKS, Outcome, Standing, best_ratio
from netadapt_tf.search.short_term import staged
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import Stopwatch, duration
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import Task
from netadapt_tf.wording import counted


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
        executor: Executor,
        mid_term: Callable[[int, tf_keras.Model], float | None] | None = None,
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
            executor: where proposals are fine-tuned.
            mid_term: (iteration, its network) -> the metric on the hold-out set; trains the network in place before
                the next iteration begins with it. None where it did not, and the metric is the picked proposal's.
        """
        self._goals = goals
        self._counted = counted
        self._datasets = datasets
        self._task = task
        self._run = run
        self._settings = settings
        self._clock = clock
        self._executor = executor
        self._mid_term = mid_term
        self._leader = run.checkpoint("short-term")

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
        self._leader.discard()
        return current

    def _iterate(self, start_widths: Widths, current: Iterate, goals: Sequence[Goal]) -> Iterate | None:
        """One round of Algorithm 1: the first goal that something can be saved for; None when there is none.

        Args:
            start_widths: of the starting network.
            current: where it starts from.
            goals: those that are not met, the furthest first.
        """
        iteration = current.iteration + 1
        for goal in goals:
            cost = current.costs[goal.name]
            constraint = self._settings.schedule.constraint(iteration, cost.start, cost.value, goal.limit)
            with self._clock("measure"):
                proposed = propose(
                    current.channels.widths,
                    start_widths,
                    self._goals,
                    goal,
                    current.costs,
                    constraint,
                    self._settings.filter_multiple,
                )
            if proposed.proposals and (following := self._work_for(goal, constraint, proposed, current)):
                return following
        return None

    def _work_for(self, goal: Goal, constraint: float, proposed: Round, current: Iterate) -> Iterate | None:
        """Fine-tunes the proposals, picks, narrows, measures; None when each breaks a goal that is met."""
        iteration = current.iteration + 1
        stage = staged(
            iteration,
            current.network,
            current.channels,
            proposed.proposals,
            self._datasets,
            self._task,
            self._settings,
        )
        self._executor.begin(stage, self._clock)

        def choice(outcomes: Sequence[Outcome]) -> Outcome:
            return self._pick(outcomes, current, goal, proposed)

        contest = Contest(
            stage,
            proposed.proposals,
            goal.name,
            choice,
            self._executor,
            self._run.journal,
            self._leader,
            self._task.metric,
            self._settings,
        )
        for left in contest.heats():
            while left:
                picked = choice(left)
                widths = {**current.channels.widths, picked.group: picked.filters}
                proposal = next(p for p in proposed.proposals if p.group == picked.group)
                costs = self._measured(widths, current, proposal.predicted)
                if broken := [g for g in self._goals if g.is_broken(current.costs[g.name], costs[g.name])]:
                    self._discard(iteration, picked, costs, broken)
                    left.remove(picked)
                    continue
                network = stage.narrowed(picked.group, contest.weights(picked.group))
                accuracy = self._task.metric.score(picked.score)
                if self._mid_term and (recovered := self._mid_term(iteration, network)) is not None:
                    accuracy = recovered
                following = Iterate(iteration, network, current.channels.at(widths), accuracy, costs)
                self._run.save_iteration(iteration, network, widths)
                self._record(following, proposal, {goal.name: constraint}, widths)
                self._leader.discard()
                return following
        return None

    def _measured(self, widths: Widths, current: Iterate, predicted: Mapping[str, float]) -> Mapping[str, Measurement]:
        def measured(goal: Goal) -> Measurement:
            start = current.costs[goal.name].start
            expected_ratio = predicted[goal.name] / start
            return relative_to(start, settled(partial(goal.resource.measure, widths), expected_ratio, start, goal.name))

        with self._clock("measure"):
            return {goal.name: measured(goal) for goal in self._goals}

    def _discard(
        self, iteration: int, outcome: Outcome, costs: Mapping[str, Measurement], broken: Sequence[Goal]
    ) -> None:
        self._run.journal.append(
            "discarded",
            iteration=iteration,
            group=outcome.group,
            filters=outcome.filters,
            measured={name: cost.value for name, cost in costs.items()},
            spread={name: cost.spread for name, cost in costs.items()},
        )
        logging.info(
            "Iteration %d: %s at %d filters is discarded; measured, it breaks a budget that is met: %s.",
            iteration,
            outcome.group,
            outcome.filters,
            "; ".join(
                f"{goal.name} {amount(costs[goal.name].value, goal.resource.unit)}, budget {number(goal.limit)}"
                for goal in broken
            ),
        )

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
            "Iteration %d%s: %s keeps %d filters; hold-out %s %s; %s.",
            iterate.iteration,
            f", for {', '.join(constraint)}" if len(self._goals) > 1 else "",
            proposal.group,
            proposal.filters,
            self._task.metric.name,
            score(iterate.accuracy, self._task.metric.name),
            "; ".join(
                f"{goal.name} {amount(iterate.costs[goal.name].value, goal.resource.unit)}, "
                f"predicted {number(proposal.predicted[goal.name])}, budget {number(goal.limit)}"
                for goal in self._goals
            ),
        )

    def _pick(self, outcomes: Sequence[Outcome], current: Iterate, goal: Goal, proposed: Round) -> Outcome:
        pick = PICKS[self._settings.pick] if proposed.meets_constraint else best_ratio
        score = self._task.metric.score(current.accuracy)
        return pick(outcomes, Standing(current.costs[goal.name].value, score))

    def _resumed(self, start: Iterate) -> Iterate:
        record = self._run.journal.last("iteration")
        if record is None or record["iteration"] == 0:
            return start
        logging.info("Going on after iteration %d.", record["iteration"])
        start_costs = {name: cost.start for name, cost in start.costs.items()}
        return recorded(self._run, record, start.channels, start_costs)

    def _report_end(self, goals: Sequence[Goal], current: Iterate) -> None:
        for goal in goals:
            logging.warning(
                "No channel group can save 1 %% of the starting network's %s any more%s; the search ends at %s, "
                "with a budget of %s.",
                goal.name,
                " without breaking another budget" if len(goals) < len(self._goals) else "",
                amount(current.costs[goal.name].value, goal.resource.unit),
                number(goal.limit),
            )

    def _report_time_left(self, current: Iterate, per_iteration_s: float) -> None:
        costs = [(goal, current.costs[goal.name]) for goal in self._goals]
        left = [
            self._settings.schedule.iterations_left(current.iteration, cost.start, cost.value, goal.limit)
            for goal, cost in costs
        ]
        iterations = max((count for count in left if count is not None), default=0)
        if iterations and None not in left:
            more = counted(iterations, "more iteration")
            logging.info("About %s, %s.", more, duration(iterations * per_iteration_s))
