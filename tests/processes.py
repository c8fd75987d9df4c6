"""Processes that a test sees end."""

import time
from pathlib import Path

_PATIENCE_S = 10.0


def has_ended(process: int) -> bool:
    """Whether a process is gone, or a zombie, within a few seconds: what is killed takes a moment to die."""
    deadline = time.monotonic() + _PATIENCE_S
    while _is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _is_alive(process: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
