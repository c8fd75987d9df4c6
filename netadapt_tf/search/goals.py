"""Which budget an iteration works for: pure functions over what the network costs now, by the budgets' names."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netadapt_tf.resources.resource import Measurement, Resource

_A_LITTLE_LESS = 0.999


@dataclass(frozen=True)
class Goal:
    """One budget as a search sees it.

    Attributes:
        name: of the budget: resource and target.
        resource: predicts and measures.
        limit: what the network may cost at the end, in the resource's unit.
    """

    name: str
    resource: Resource
    limit: float

    def is_met(self, cost: Measurement) -> bool:
        """Whether a network of this cost is within budget beyond doubt; one whose cost is unknown never is."""
        return math.isfinite(cost.at_most) and cost.at_most <= self.limit

    def is_broken(self, before: Measurement, cost: Measurement) -> bool:
        """Whether a network is over this budget beyond doubt, and that before it was not.

        Args:
            before: what the network before it costs.
            cost: what the network costs.
        """
        return self.is_met(before) and cost.value - cost.spread > self.limit

    def distance(self, cost: Measurement) -> float:
        """How much of the way from the starting network to the budget is left: 1 at the start, 0 where it is met."""
        if self.is_met(cost):
            return 0.0
        whole = cost.start - self.limit
        known = math.isfinite(cost.at_most) and math.isfinite(whole)
        return (cost.at_most - self.limit) / whole if known and whole > 0 else math.inf

    def cost_to_cut(self, cost: Measurement) -> float:
        """What predictions start from when this goal is worked for.

        Within the budget, but not beyond doubt, it is the doubt, or nothing would have to be cut.
        """
        return cost.value if cost.value > self.limit else cost.at_most

    def allows(self, cost: Measurement, predicted: float) -> bool:
        """Whether a proposal that is made for another goal may be followed.

        Args:
            cost: what the network costs now.
            predicted: what it is predicted to cost.

        Returns:
            False where the cost is unknown (infinite), or the goal is met now and would be no more.
        """
        return math.isfinite(predicted) and (not self.is_met(cost) or predicted + cost.spread <= self.limit)


def unmet(goals: Sequence[Goal], costs: Mapping[str, Measurement]) -> list[Goal]:
    """The goals that are not met, the one furthest from its budget first; of equals in the order of their names."""
    open_goals = [goal for goal in goals if not goal.is_met(costs[goal.name])]
    return sorted(open_goals, key=lambda goal: (-goal.distance(costs[goal.name]), goal.name))


def corrected_by_delivery(
    goals: Sequence[Goal],
    costs: Mapping[str, Measurement],
    asked: Mapping[str, float],
    reached: Mapping[str, float],
) -> tuple[Goal, ...] | None:
    """The goals to search on with, when the delivered file costs more than the search believed.

    Each goal that the search met and the file does not gets a limit as much lower as the file is over; what the search
    found does not meet it, so that something is done. A file whose cost is unknown (infinite) corrects nothing.

    Args:
        goals: what the search was for.
        costs: of the network that it found, by the goals' names.
        asked: what each budget allows the delivered file, by the same names.
        reached: what the file costs.

    Returns:
        All goals, some lower; None where searching on is of no use.
    """
    missed = {
        goal.name
        for goal in goals
        if asked[goal.name] < reached[goal.name] < math.inf and goal.is_met(costs[goal.name])
    }
    if not missed:
        return None
    return tuple(
        replace(
            goal,
            limit=min(goal.limit * asked[goal.name] / reached[goal.name], _A_LITTLE_LESS * costs[goal.name].at_most),
        )
        if goal.name in missed
        else goal
        for goal in goals
    )
