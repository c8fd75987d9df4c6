"""How many filters: the largest number that meets the constraint (NetAdapt, ChooseNumFilters)."""

import math
from collections.abc import Sequence

import numpy as np


def candidate_filters(start_filters: int, filters: int, multiple: int) -> list[int]:
    """The numbers of filters a group may shrink to, ascending.

    Args:
        start_filters: filters of the group in the starting network.
        filters: filters of the group now.
        multiple: candidates are multiples of it; of half of it in groups that started with less than four times it.

    Returns:
        Multiples below `filters`, at least one multiple; empty when the group cannot shrink.
    """
    step = max(1, multiple // 2) if start_filters < 4 * multiple else multiple
    return list(range(step, filters, step))


def largest_that_meets(candidates: Sequence[int], costs: Sequence[float], constraint: float) -> int | None:
    """The largest candidate whose cost meets the constraint, or None.

    Costs are made monotone first: no candidate counts as cheaper than a smaller one, so that noise
    never makes a narrower layer look slower, and the answer is the top of its stair.

    Args:
        candidates: numbers of filters, ascending.
        costs: what the network would cost with each; a candidate whose cost is infinite (unknown) is passed over.
        constraint: what it may cost.
    """
    known = [(filters, cost) for filters, cost in zip(candidates, costs, strict=True) if math.isfinite(cost)]
    monotone = np.maximum.accumulate([cost for _, cost in known]) if known else np.empty(0)
    meeting = np.flatnonzero(monotone <= constraint)
    return known[int(meeting[-1])][0] if meeting.size else None
