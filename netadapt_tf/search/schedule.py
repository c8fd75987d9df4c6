"""The resource reduction schedule: how much each iteration must save (NetAdapt, section 3.2, Algorithm 1)."""

from dataclasses import dataclass

_LEAST_STEP = 1e-6  # as a share of the starting network's cost; smaller ones never arrive


@dataclass(frozen=True)
class Schedule:
    """A first step, and how fast the steps get smaller.

    Attributes:
        initial_reduction: saving of the first iteration, as a share of what the starting network costs.
        decay: each iteration's step is this times the one before.
    """

    initial_reduction: float
    decay: float

    def constraint(self, iteration: int, start: float, current: float, limit: float) -> float:
        """What the network may cost after an iteration; never less than the budget asks for.

        Args:
            iteration: counted from 1.
            start: cost of the starting network.
            current: cost of the network that this iteration starts from.
            limit: the budget, in the same unit.
        """
        return max(limit, current - start * self.initial_reduction * self.decay ** (iteration - 1))

    def iterations_left(self, iteration: int, start: float, current: float, limit: float) -> int | None:
        """How many iterations it takes when each just meets its constraint; None where the steps add up to too little.

        Args:
            iteration: how many are done.
            start: cost of the starting network.
            current: cost of the network now.
            limit: the budget, in the same unit.
        """
        done = iteration
        while current > limit:
            done += 1
            following = self.constraint(done, start, current, limit)
            if following > limit and current - following < _LEAST_STEP * start:
                return None
            current = following
        return done - iteration
