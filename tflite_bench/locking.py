"""One measurement at a time on one machine."""

import fcntl
import hashlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

from absl import logging

from tflite_bench.errors import UserError

_MAX_COMMAND = 300
_POLL_S = 0.01


def cache_folder() -> Path:
    """The user's cache folder of this project (`$XDG_CACHE_HOME`, else `~/.cache`), made if missing."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "netadapt_tf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the cache folder {folder} cannot be made ({error}); XDG_CACHE_HOME names another") from error
    return folder


@contextmanager
def measuring_lock(
    path: Path | None = None, patience_s: float = 2.0, waiting: str = "Waiting: %s is measuring on this machine."
) -> Iterator[None]:
    """Waits until nobody else measures on this machine; says who does, and by which command.

    Args:
        path: the lock file; by default one for all processes of the user.
        patience_s: how long to wait before anything is said: processes that take turns have nothing to tell.
        waiting: what is said then, of the holder.
    """
    path = path or cache_folder() / "measuring.lock"
    with open(path, "a+") as file:
        if not _locked_within(file, patience_s):
            file.seek(0)
            holder = " ".join(file.read().split()) or "another process"
            logging.warning(waiting, holder)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} ({shlex.join(sys.orig_argv)[:_MAX_COMMAND]})")
        file.flush()
        yield


def filling_lock(table: Path, context: str) -> AbstractContextManager[None]:
    """Held while a batch of layers is measured for a table, so that nobody else measures the same ones.

    Args:
        table: the table's file.
        context: tells entries that can be compared from others, see `latency_table.Context`.
    """
    digest = hashlib.sha256(f"{table.resolve()}\n{context}".encode()).hexdigest()
    path = cache_folder() / f"filling-{digest[:16]}.lock"
    return measuring_lock(path, waiting="Waiting: %s is filling the same latency table.")


def _locked_within(file: TextIO, patience_s: float) -> bool:
    """Whether a lock could be had before patience ends."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
