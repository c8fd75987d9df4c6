"""One progress bar for everything that takes longer than a few seconds."""

import sys
import time
from typing import Protocol, Self, cast

from absl import logging
from tqdm import tqdm

_FIRST_LINE_S = 15.0
_NEXT_LINE_S = 30.0
_NEXT_LINE_SHARE = 0.1  # of the time passed: hours need no line every half minute


class Progress(Protocol):
    """What is done of something; the context manager ends it."""

    n: int

    def update(self, n: int = 1) -> bool | None:
        """Counts `n` steps more."""

    def refresh(self) -> None:
        """Shows what `n` says."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def progress(what: str, total: int) -> Progress:
    """A bar with the time left, gone when it is done; where the output is no terminal, a line of the log now and then.

    Args:
        what: in two or three words.
        total: number of steps; call `update(n)` as they are done. Nothing is shown of none.
    """
    if not sys.stderr.isatty():
        return _Lines(what, total)
    bar = tqdm(total=total, desc=what, leave=False, delay=1.0, disable=total == 0, mininterval=0.3, dynamic_ncols=True)
    return cast(Progress, bar)


class _Lines:
    """Lines of the log: the first after a quarter of a minute, then ever more rarely.

    The time left is told by the pace since the first step: before it workers start, and steps of an interrupted run are
    done at once.
    """

    def __init__(self, what: str, total: int) -> None:
        self.n = 0
        self._what, self._total = what, total
        self._begin = time.monotonic()
        self._first: tuple[int, float] | None = None  # steps, and when they were done
        self._next = self._begin + _FIRST_LINE_S

    def update(self, n: int = 1) -> None:
        self.n += n
        self.refresh()

    def refresh(self) -> None:
        now = time.monotonic()
        if self._first is None and self.n:
            self._first = self.n, now
        if now < self._next or not 0 < self.n < self._total:
            return
        logging.info("%s: %d of %d%s", self._what, self.n, self._total, self._left(now))
        self._next = now + max(_NEXT_LINE_S, _NEXT_LINE_SHARE * (now - self._begin))

    def _left(self, now: float) -> str:
        steps, since = self._first or (self.n, now)
        if self.n == steps:
            return ""
        return f", about {tqdm.format_interval((now - since) * (self._total - self.n) / (self.n - steps))} left"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
