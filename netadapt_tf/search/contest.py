"""The proposals of one iteration against each other: each is fine-tuned and recorded, and those worth a pick named."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from netadapt_tf.search.executors.executor import Executor
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.proposals import Cut, Proposal
from netadapt_tf.search.screening import screening_steps, survivors
from netadapt_tf.search.selection import Outcome, ranked
from netadapt_tf.search.short_term import Failed, FineTuned, Portion, Stage
from netadapt_tf.settings import Settings
from netadapt_tf.training.checkpoint import Checkpoint, Finished, digest_of
from netadapt_tf.training.task import Metric
from netadapt_tf.training.trainer import Evaluation, TrainingState
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

Choice = Callable[[Sequence[Outcome]], Outcome]
"""The best of some outcomes, in the order of the groups."""


class Contest:
    """One iteration's proposals; what an earlier process has recorded is not done again."""

    def __init__(
        self,
        stage: Stage,
        proposals: Sequence[Proposal],
        goal: str,
        choice: Choice,
        executor: Executor,
        journal: Journal,
        leader: Checkpoint,
        metric: Metric,
        settings: Settings,
    ) -> None:
        """Takes up what the journal holds of this iteration.

        Args:
            stage: what the proposals start from.
            proposals: in the order of the groups.
            goal: name of the cost that the iteration works for.
            choice: which outcome is the best.
            executor: where proposals are fine-tuned.
            journal: where every result is recorded.
            leader: where the weights of the best so far are kept; discarding it is the caller's.
            metric: what proposals are ranked by.
            settings: how long, and whether to screen.
        """
        self._stage = stage
        self._proposals = proposals
        self._goal = goal
        self._choice = choice
        self._executor = executor
        self._journal = journal
        self._leader = leader
        self._began_from = digest_of(stage.network.get_weights())
        self._metric = metric
        self._steps = settings.short_term_steps
        self._screening_steps = screening_steps(self._steps) if settings.screen else 0
        self._best: Mapping[str, FineTuned] = {}
        self._discarded = set(self._recorded("discarded"))
        self._evaluations = {event: self._recorded_evaluations(event) for event in ("screened", "proposal")}
        self._failures = {cut: record["reason"] for cut, record in self._recorded("failed").items()}
        if self._is_over():
            self._failures = {}  # the search stopped there; what was in its way may be gone

    def heats(self) -> Iterator[list[Outcome]]:
        """What proposals that were fine-tuned to the end are worth, in the order of the groups.

        All at once without screening; with it the best few, and the next few where none of them will do.

        Raises:
            UserError: every proposal has failed.
        """
        for few in self._heats():
            left = [proposal for proposal in few if _cut(proposal) not in self._discarded]
            self._fine_tune("proposal", left, self._steps, 1, "proposals")
            if outcomes := self._outcomes("proposal", left):
                yield outcomes
        if self._is_over():
            (group, filters), reason = next(iter(self._failures.items()))
            raise UserError(
                f"no proposal of iteration {self._stage.iteration} could be fine-tuned and judged; of {group} at "
                f"{filters} filters: {reason}. Where the fine-tune diverges, lower short_term_learning_rate; else the "
                "same command tries them again"
            )

    def weights(self, group: str) -> Sequence[np.ndarray]:
        """Those of a proposal after its fine-tune, which is repeated where they were not kept."""
        if group in self._best:
            return self._best[group].state.weights
        if kept := self._leader.finished(self._about(group)):
            return kept.state.weights
        ((_, result),) = self._executor.results([Portion(group, self._steps)])
        if isinstance(result, Failed):
            raise UserError(f"the fine-tune of {group}, done once, failed when it was repeated: {result.reason}")
        return result.state.weights

    def _is_over(self) -> bool:
        """Whether every proposal has failed; one that was discarded has had a result."""
        return len(self._failures) == len(self._proposals)

    def _heats(self) -> Iterator[Sequence[Proposal]]:
        count = survivors(len(self._proposals))
        if not self._screening_steps or count >= len(self._proposals):
            yield self._proposals
            return
        self._fine_tune("screened", self._proposals, self._screening_steps, count, "screening")
        order = ranked(self._choice, self._outcomes("screened", self._proposals))
        for first in range(0, len(order), count):
            groups = {outcome.group for outcome in order[first : first + count]}
            yield [proposal for proposal in self._proposals if proposal.group in groups]

    def _fine_tune(self, event: str, proposals: Sequence[Proposal], end: int, room: int, what: str) -> None:
        """Brings proposals to a step, each recorded the moment it is there; the states of the best stay at hand."""
        known = self._evaluations[event].keys() | self._failures.keys()
        missing = {proposal.group: proposal for proposal in proposals if _cut(proposal) not in known}
        portions = [self._portion(group, end) for group in missing]
        best: dict[str, FineTuned] = {}
        with progress(f"iteration {self._stage.iteration}, {what}", len(portions)) as bar:
            for group, result in self._executor.results(portions):
                if isinstance(result, FineTuned):
                    self._evaluations[event][_cut(missing[group])] = result.evaluation
                    best[group] = result
                    order = ranked(self._choice, self._outcomes(event, proposals), room)
                    best = {outcome.group: best[outcome.group] for outcome in order if outcome.group in best}
                    if event == "proposal" and group in best:
                        self._leader.keep(self._about(group), _weights_only(result))
                self._record(event, missing[group], end, result)
                bar.update()
        self._best = best

    def _about(self, group: str) -> dict[str, Any]:
        """What tells a group's fine-tune from all others of the run."""
        (filters,) = (proposal.filters for proposal in self._proposals if proposal.group == group)
        return {
            "stage": "short-term",
            "iteration": self._stage.iteration,
            "began_from": self._began_from,
            "group": group,
            "filters": filters,
        }

    def _portion(self, group: str, end: int) -> Portion:
        begun = self._best.get(group)
        if begun is None or end == self._screening_steps:
            return Portion(group, end)
        return Portion(group, end, self._screening_steps, begun.state)

    def _record(self, event: str, proposal: Proposal, steps: int, result: FineTuned | Failed) -> None:
        about = {"iteration": self._stage.iteration, "group": proposal.group, "filters": proposal.filters}
        wall_s = round(result.wall_s, 2)
        if isinstance(result, Failed):
            self._failures[_cut(proposal)] = result.reason
            self._journal.append("failed", **about, reason=result.reason, wall_s=wall_s)
            logging.warning(
                "Iteration %d: the proposal of %s at %d filters failed and is left out: %s.",
                *about.values(),
                result.reason,
            )
            return
        more: dict[str, Any] = {"steps": steps} if event == "screened" else {}
        metric, loss = result.evaluation
        self._journal.append(
            event, **about, accuracy=metric, loss=loss, predicted=proposal.predicted, **more, wall_s=wall_s
        )

    def _outcomes(self, event: str, proposals: Sequence[Proposal]) -> list[Outcome]:
        evaluations = self._evaluations[event]
        return [
            self._outcome(proposal, evaluations[_cut(proposal)])
            for proposal in proposals
            if _cut(proposal) in evaluations and _cut(proposal) not in self._failures
        ]

    def _outcome(self, proposal: Proposal, evaluation: Evaluation) -> Outcome:
        loss = math.inf if math.isnan(evaluation.loss) else evaluation.loss
        score = self._metric.score(evaluation.metric)
        return Outcome(proposal.group, proposal.filters, proposal.predicted[self._goal], score, loss)

    def _recorded(self, event: str) -> dict[Cut, Mapping[str, Any]]:
        """This iteration's records of one kind, by the cut that they are about."""
        cuts = {_cut(proposal) for proposal in self._proposals}
        return {
            (record["group"], record["filters"]): record
            for record in self._journal.events(event)
            if record["iteration"] == self._stage.iteration and (record["group"], record["filters"]) in cuts
        }

    def _recorded_evaluations(self, event: str) -> dict[Cut, Evaluation]:
        """Those whose metric has a value; runs of earlier releases recorded no loss, and do not pick by it."""
        records = self._recorded(event).items()
        return {
            cut: Evaluation(record["accuracy"], record.get("loss", math.nan))
            for cut, record in records
            if not math.isnan(record["accuracy"])
        }


def _weights_only(result: FineTuned) -> Finished:
    """As a checkpoint: of steps, which are no epochs, and with nothing that further steps would need."""
    return Finished(epochs=0, state=TrainingState(result.state.weights, momentums=[], draws=[]))


def _cut(proposal: Proposal) -> Cut:
    return proposal.group, proposal.filters
