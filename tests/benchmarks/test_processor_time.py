import time
from pathlib import Path

import pytest

from benchmarks.processor_time import counted, minutes


def work(seconds: float) -> None:
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass


def interrupted_work(path: Path) -> None:
    with counted(path):
        work(0.6)
        raise KeyboardInterrupt


def test_only_work_counts_and_adds_up_over_interruptions(tmp_path):
    path = tmp_path / "minutes"
    assert minutes(path) == 0.0
    with pytest.raises(KeyboardInterrupt):
        interrupted_work(path)
    once = minutes(path)
    assert once == pytest.approx(0.01, abs=0.002)
    with counted(path):
        time.sleep(0.5)
        work(0.6)
    assert minutes(path) == pytest.approx(once + 0.01, abs=0.002)
