"""The resource reduction schedule: how much each iteration must save (NetAdapt, section 3.2, Algorithm 1)."""

from dataclasses import dataclass


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
