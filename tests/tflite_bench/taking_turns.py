"""Whether who measures waits for who does so already."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from tflite_bench.locking import Lock


def waits_for(lock: Lock, measure: Callable[[], object]) -> bool:
    """Whether measuring ends only when a lock is free that is held for five times as long as it takes."""
    begin = time.monotonic()
    measure()
    long_enough_s = 5 * (time.monotonic() - begin) + 0.3
    with ThreadPoolExecutor(1) as pool:
        with lock.held():
            measuring = pool.submit(measure)
            waited = bool(wait([measuring], long_enough_s).not_done)
        measuring.result()
    return waited
