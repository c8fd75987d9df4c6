"""Files that are there whole or not at all, whatever ends the writing of one."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tflite_bench.whole_file import replacing, write_whole

OLD, NEW = b"old", b"new" * 10_000

KILLED = """
import os, signal, sys
from pathlib import Path
from tflite_bench.whole_file import replacing

with replacing(Path(sys.argv[1])) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "file.json"
    path.write_bytes(OLD)
    return path


@contextmanager
def files_of_at_most(count: int) -> Iterator[None]:
    """As on a disk that has no more room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def is_as_it_was(path: Path) -> bool:
    return path.read_bytes() == OLD and list(path.parent.iterdir()) == [path]


def test_the_new_file_takes_the_old_one_s_place_and_nothing_lies_beside_it(path):
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


def test_where_it_does_not_fit_the_old_file_stays_alone(path):
    with files_of_at_most(len(NEW) // 2), pytest.raises(OSError, match="File too large"):
        write_whole(path, NEW)
    assert is_as_it_was(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_whatever_step_fails_the_old_file_stays_alone(path, monkeypatch, step):
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="no space left"):
        write_whole(path, NEW)
    assert is_as_it_was(path)


def test_an_interruption_leaves_the_old_file_alone(path):
    def interrupted() -> None:
        with replacing(path) as partial:
            partial.write_bytes(NEW[:5])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert is_as_it_was(path)


def test_what_a_kill_leaves_counts_for_nothing_and_goes_with_the_next_file(path):
    process = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD
    (left,) = (other for other in path.parent.iterdir() if other != path)
    assert left.name.startswith(".")
    with replacing(path) as partial:
        assert not partial.exists(), "SQLite would go on with it"
        partial.write_bytes(NEW)
    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


def test_it_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    fsync, replace = os.fsync, os.replace
    order: list[object] = []

    def watched_fsync(number: int) -> None:
        order.append(os.fstat(number).st_size)
        fsync(number)

    def watched_replace(source: Path, target: Path) -> None:
        order.append("renamed")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_whole(path, NEW)
    assert order == [len(NEW), "renamed"]
