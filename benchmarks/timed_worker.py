"""`tflite_bench.host_worker`, which also writes down how long it loaded models and timed them.

TIMED_WORKER_LOG=PATH python -m benchmarks.timed_worker FILE_DESCRIPTOR THREADS
"""

import os
import time

from tflite_bench import host_worker, timing

LOG = "TIMED_WORKER_LOG"
"""The environment variable that names the file; a line for each job, in seconds."""


class _LoggedWatch(host_worker._Watch):
    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self._log = open(os.environ[LOG], "a", buffering=1)  # noqa: SIM115 - opening takes as long as a small entry

    def time(self, job: timing.Job) -> timing.Reading:
        begin = time.perf_counter()
        try:
            return super().time(job)
        finally:
            self._log.write(f"{time.perf_counter() - begin:.6f}\n")


if __name__ == "__main__":
    host_worker._Watch = _LoggedWatch  # type: ignore[misc]
    host_worker.main()
