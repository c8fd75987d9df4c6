"""One measurement at a time on one machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import logging

from tflite_bench.errors import UserError


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
def measuring_lock(path: Path | None = None) -> Iterator[None]:
    """Waits until nobody else measures on this machine; says who does.

    Args:
        path: the lock file; by default one for all processes of the user.
    """
    path = path or cache_folder() / "measuring.lock"
    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            logging.warning("Waiting: %s is measuring on this machine.", file.read().strip() or "another process")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        yield
