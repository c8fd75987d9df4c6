"""How long the processor has worked at something, over all processes that were interrupted at it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tflite_bench.whole_file import write_whole


@contextmanager
def counted(path: Path) -> Iterator[None]:
    """Adds the minutes that this process's threads work inside to a file, also where an interruption ends it.

    Time that other processes take, or in which this one is stopped, does not count; nor does that of its children.
    """
    begin_s = time.process_time()
    try:
        yield
    finally:
        write_whole(path, f"{minutes(path) + (time.process_time() - begin_s) / 60:.4f}\n".encode())


def minutes(path: Path) -> float:
    """What a file has come to; 0 where there is none."""
    return float(path.read_text()) if path.exists() else 0.0
