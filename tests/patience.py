"""Waiting for what takes a moment."""

import time
from collections.abc import Callable

_PATIENCE_S = 10.0


def soon(holds: Callable[[], bool]) -> bool:
    """Whether something holds now or within a few seconds."""
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
