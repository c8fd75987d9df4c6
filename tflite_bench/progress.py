"""One progress bar for everything that takes longer than a few seconds."""

from typing import Any

from tqdm import tqdm


def progress(what: str, total: int) -> Any:
    """A bar with the time left, gone when it is done; nothing where the output is no terminal.

    Args:
        what: in two or three words.
        total: number of steps; call `update(n)` as they are done.
    """
    return tqdm(
        total=total,
        desc=what,
        leave=False,
        delay=1.0,
        disable=True if total == 0 else None,
        mininterval=0.3,
        dynamic_ncols=True,
    )
