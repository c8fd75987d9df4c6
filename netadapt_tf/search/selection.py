"""Which proposal: pure functions over what the proposals turned out to be worth."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """A proposal after its short-term fine-tune.

    Attributes:
        group: the channel group it shrinks.
        filters: how many filters it leaves.
        cost: what the network is predicted to cost, in the budget's resource.
        score: the task's metric on the hold-out set, so that larger is better; -inf where it has no value.
        loss: the task's loss there, mean over its examples; inf where it has no value.
    """

    group: str
    filters: int
    cost: float
    score: float
    loss: float


@dataclass(frozen=True)
class Standing:
    """The network that the proposals started from: its cost and its score on the hold-out set."""

    cost: float
    score: float


Pick = Callable[[Sequence[Outcome], Standing], Outcome]


def highest_accuracy(outcomes: Sequence[Outcome], _: Standing) -> Outcome:
    """The most accurate proposal, the first of equals (NetAdapt, Algorithm 1)."""
    return max(outcomes, key=lambda outcome: outcome.score)


def lowest_loss(outcomes: Sequence[Outcome], _: Standing) -> Outcome:
    """The proposal of the lowest hold-out loss, the first of equals: it tells apart what few examples count alike."""
    return min(outcomes, key=lambda outcome: outcome.loss)


def best_ratio(outcomes: Sequence[Outcome], standing: Standing) -> Outcome:
    """The least accuracy lost per cost saved, the first of equals (the rule of MobileNetV3's search).

    A proposal that loses nothing comes before all that do, the one with the most gained times saved first;
    one that saves nothing comes after all that do, and one of score -inf last. Where the standing has no finite
    score, nothing can be said of losses, and the most accurate wins.
    """
    if not math.isfinite(standing.score):
        return highest_accuracy(outcomes, standing)

    def rank(outcome: Outcome) -> tuple[int, float]:
        lost, saved = standing.score - outcome.score, standing.cost - outcome.cost
        if outcome.score == -math.inf:
            return 3, lost
        if saved <= 0:
            return 2, lost
        return (1, lost / saved) if lost > 0 else (0, lost * saved)

    return min(outcomes, key=rank)


PICKS: dict[str, Pick] = {
    "highest_accuracy": highest_accuracy,
    "lowest_loss": lowest_loss,
    "best_ratio": best_ratio,
}


def ranked(best: Callable[[Sequence[Outcome]], Outcome], outcomes: Sequence[Outcome], count: int = -1) -> list[Outcome]:
    """The best outcome, the best of the others, and so on.

    Args:
        best: the best of some, the first of equals.
        outcomes: in the order of the groups.
        count: how many are wanted; negative for all.
    """
    left, order = list(outcomes), list[Outcome]()
    while left and len(order) != count:
        order.append(best(left))
        left.remove(order[-1])
    return order
