"""Where the time goes, by kind of work."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall time in seconds by kind of work; kinds do not nest."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, kind: str) -> Iterator[None]:
        """Counts what happens inside as `kind`."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self._seconds[kind] += time.monotonic() - begin

    def lap(self, rest: str) -> dict[str, float]:
        """The seconds since the last lap by kind; what no kind claimed counts as `rest`. Starts a new lap."""
        now = time.monotonic()
        self._seconds[rest] += now - self._begin - sum(self._seconds.values())
        lap = {kind: round(seconds, 2) for kind, seconds in self._seconds.items()}
        self._begin, self._seconds = now, defaultdict(float)
        return lap


def duration(seconds: float) -> str:
    """About how long, as a person would say it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
