"""Which iterations of a search make a family: pure functions over what they cost and are worth."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """An iteration's network on the curve; the start is iteration 0.

    Attributes:
        iteration: its number.
        cost: measured, in the resource that the curve is drawn over.
        score: the task's metric on the hold-out set, so that larger is better; -inf where it has no value.
    """

    iteration: int
    cost: float
    score: float

    def is_beaten_by(self, other: "Point") -> bool:
        """Whether another network is at least as good in both, and better in one."""
        no_worse = other.cost <= self.cost and other.score >= self.score
        return no_worse and (other.cost, other.score) != (self.cost, self.score)


def unbeaten(points: Sequence[Point]) -> list[Point]:
    """The Pareto front: those that no other beats."""
    return [point for point in points if not any(point.is_beaten_by(other) for other in points)]


def along_curve(points: Sequence[Point], count: int) -> list[int]:
    """Iterations along the curve, evenly by cost.

    The way from the start's cost to the last iteration's is cut into `count` equal steps. The end of each step takes
    the iteration that is nearest to it by cost and that no step before has taken; of two that are equally near the
    earlier. The last step takes the last iteration. The others come from those that no other beats, where these are
    enough, else from all: a short-term fine-tune may make up for a cut, so that one network beats many before it that
    a long-term fine-tune would lift above it.

    Args:
        points: the start and all iterations, in order; none but the start gives none.
        count: how many, 1 or more.

    Returns:
        Their numbers, in order; all where there are no more than asked for.
    """
    start, *later = points
    if not later:
        return []
    last = later[-1]
    inner = later[:-1]
    front = [point for point in unbeaten(points) if point in inner]
    left = front if len(front) >= count - 1 else inner
    taken = [last.iteration]
    for step in range(1, count):
        if not left:
            break
        wanted = start.cost + (last.cost - start.cost) * step / count
        nearest = min(left, key=lambda point: abs(point.cost - wanted))
        left.remove(nearest)
        taken.append(nearest.iteration)
    return sorted(taken)
