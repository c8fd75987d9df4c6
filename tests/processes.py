"""Processes that a test sees end."""

from pathlib import Path

from tests.patience import soon


def has_ended(process: int) -> bool:
    """Whether a process is gone, or a zombie, within a few seconds: what is killed takes a moment to die."""
    return soon(lambda: not _is_alive(process))


def _is_alive(process: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
