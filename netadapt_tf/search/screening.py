"""How many steps every proposal gets before the best few get the rest (`--screen`); all its numbers stand here."""

import math

_SHARE_OF_STEPS = 0.25
_SHARE_KEPT = 0.25
_LEAST_KEPT = 3


def screening_steps(steps: int) -> int:
    """After how many steps of a short-term fine-tune proposals are compared for the first time; 0 for never.

    Args:
        steps: of the whole fine-tune.
    """
    return int(_SHARE_OF_STEPS * steps)


def survivors(proposals: int) -> int:
    """How many of an iteration's proposals are fine-tuned to the end."""
    return max(_LEAST_KEPT, math.ceil(_SHARE_KEPT * proposals))
