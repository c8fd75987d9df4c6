"""What each channel group proposes to an iteration: how many filters it gives up (NetAdapt, Algorithm 1)."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.filter_counts import candidate_filters, largest_that_meets
from netadapt_tf.search.goals import Goal
from tflite_bench.errors import UserError

_LEAST_SAVING = 0.01

Cut = tuple[str, int]
"""A channel group, and how many filters it keeps."""


@dataclass(frozen=True)
class Proposal:
    """The network with one channel group shrunk.

    Attributes:
        group: the channel group.
        filters: how many filters it keeps.
        predicted: what the network is predicted to cost, by the goals' names.
    """

    group: str
    filters: int
    predicted: Mapping[str, float]


@dataclass(frozen=True)
class Round:
    """The proposals of one iteration.

    Attributes:
        proposals: in the order of the groups.
        meets_constraint: whether they do; if not, each is its group's largest cut.
    """

    proposals: tuple[Proposal, ...]
    meets_constraint: bool


def propose(
    widths: Widths,
    start_widths: Widths,
    goals: Sequence[Goal],
    goal: Goal,
    costs: Mapping[str, Measurement],
    constraint: float,
    filter_multiple: int,
) -> Round:
    """Shrinks every group alone, just enough to meet the constraint.

    Where no group can, each offers its largest cut, and cuts that save under 1 % of the starting
    network's cost are dropped; but where none saves as much, and all together are predicted to meet the goal, they are
    offered. What would break a goal that is met is dropped always.

    Args:
        widths: of the network that the iteration starts from.
        start_widths: widths of the starting network, which fix the candidates.
        goals: all of them.
        goal: the one that the constraint is about.
        costs: what that network was measured to cost, by goal; its ratios to the predictions correct all predictions.
        constraint: what the network may cost after this iteration.
        filter_multiple: see `candidate_filters`.

    Raises:
        UserError: a layer of that network cannot be measured.
    """
    candidates = {
        name: candidate_filters(start_widths[name], filters, filter_multiple) for name, filters in widths.items()
    }
    cost = goal.cost_to_cut(costs[goal.name])
    own = _predicted(goal, cost, widths, [(name, filters) for name in widths for filters in candidates[name]])
    doubt = cost / costs[goal.name].value
    others = [other for other in goals if other is not goal]

    def offered(cuts: Sequence[Cut]) -> dict[Cut, dict[str, float]]:
        """What each cut is predicted to cost; without those that break a goal."""
        predicted = {other.name: _predicted(other, costs[other.name].value, widths, cuts) for other in others}
        return {
            cut: {goal.name: own[cut] / doubt} | {name: by_cut[cut] for name, by_cut in predicted.items()}
            for cut in cuts
            if all(other.allows(costs[other.name], predicted[other.name][cut]) for other in others)
        }

    largest = {
        name: largest_that_meets(filters, [own[name, count] for count in filters], constraint)
        for name, filters in candidates.items()
    }
    cuts = offered([(name, filters) for name, filters in largest.items() if filters is not None])
    meets_constraint = bool(cuts)
    if not meets_constraint:
        least_saving = _LEAST_SAVING * costs[goal.name].start
        deepest = {name: filters[0] for name, filters in candidates.items() if filters}
        savings = {cut: cost - own[cut] for cut in deepest.items()}
        cuts = offered([cut for cut, saving in savings.items() if saving >= least_saving])
        if not cuts:
            small = offered([cut for cut, saving in savings.items() if saving > 0])
            narrowest = {**widths, **dict(small.keys())}
            if _correction(goal, cost, widths) * goal.resource.predict(narrowest) <= goal.limit:
                cuts = small
    proposals = tuple(Proposal(name, filters, predicted) for (name, filters), predicted in cuts.items())
    return Round(proposals, meets_constraint)


def _predicted(goal: Goal, cost: float, widths: Widths, cuts: Sequence[Cut]) -> dict[Cut, float]:
    """What the network would cost after each cut, corrected so that without any it costs `cost`."""
    narrower = {(name, filters): {**widths, name: filters} for name, filters in cuts}
    goal.resource.prepare(narrower.values())
    correction = _correction(goal, cost, widths)
    return {cut: correction * goal.resource.predict(after) for cut, after in narrower.items()}


def _correction(goal: Goal, cost: float, widths: Widths) -> float:
    """What predictions are multiplied by so that the network itself is predicted to cost `cost`."""
    now = goal.resource.predict(widths)
    if not math.isfinite(now):
        raise UserError("a layer of the network itself cannot be measured; the warnings above name it")
    return cost / now


def proposal_seed(run_seed: int, iteration: int, group: str) -> int:
    """The seed of a proposal's short-term fine-tune: its own, whoever runs it and when."""
    digest = hashlib.sha256(f"{run_seed}/{iteration}/{group}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
