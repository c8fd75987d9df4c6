"""One measurement at a time on one machine, and first come, first served."""

import fcntl
import hashlib
import math
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from absl import logging

from tflite_bench.errors import UserError

_MAX_COMMAND = 300
_POLL_S = 0.01
_SAID_AGAIN_S = 30.0
_TICKET = ".ticket-"


def cache_folder() -> Path:
    """The user's cache folder of this project (`$XDG_CACHE_HOME`, else `~/.cache`), made if missing."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "netadapt_tf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the cache folder {folder} cannot be made ({error}); XDG_CACHE_HOME names another") from error
    return folder


class Lock:
    """What one process at a time holds, in the order in which they came; it ends with the process that holds it.

    The system's lock of a file keeps others out, but knows no order: who lets go and comes back at once would have it
    again before the others notice. So whoever has to wait takes a ticket, a file beside the lock with the next number,
    and lets those of lower numbers go first. Tickets keep order only; that one of a killed process is left, or one is
    missing, never lets two in.
    """

    def __init__(self, path: Path, waiting: str, patience_s: float = 2.0) -> None:
        """Nothing is held yet.

        Args:
            path: the lock file.
            waiting: what is said, of the holder, by those that wait: once of each holder, and not twice in half a
                minute.
            patience_s: how long to wait before anything is said: processes that take turns have nothing to tell.
        """
        self._path = path
        self._waiting = waiting
        self._patience_s = patience_s
        self._named: set[str] = set()
        self._said_s = -math.inf

    @contextmanager
    def held(self) -> Iterator[None]:
        """Waits until nobody else holds it."""
        patience = _Patience(self._patience_s, self._say)
        with open(self._path, "a+", errors="replace") as file:
            if _tickets(self._path) or not _locked(file, fcntl.LOCK_EX):
                with _ticket(self._path) as number:
                    _wait_for_those_before(self._path, number, patience)
                    patience.lock(file, fcntl.LOCK_EX)
            self._sign(file)
            yield

    @staticmethod
    def _sign(file: IO[str]) -> None:
        """Says who holds it; whoever comes back finds that written, which takes milliseconds."""
        holder = f"process {os.getpid()} ({shlex.join(sys.orig_argv)[:_MAX_COMMAND]})"
        file.seek(0)
        if file.read() == holder:
            return
        file.seek(0)
        file.truncate()
        file.write(holder)
        file.flush()

    def _say(self) -> None:
        holder = " ".join(self._path.read_text(errors="replace").split()) or "another process"
        if holder not in self._named and time.monotonic() >= self._said_s + _SAID_AGAIN_S:
            self._named.add(holder)
            self._said_s = time.monotonic()
            logging.warning(self._waiting, holder)


def measuring_lock(path: Path | None = None) -> Lock:
    """Held by whoever measures on a machine; others are told who does, and by which command.

    Args:
        path: the lock file; by default one for all processes of the user.
    """
    return Lock(path or cache_folder() / "measuring.lock", "Waiting: %s is measuring on this machine.")


def filling_lock(table: Path, context: str) -> Lock:
    """Held while a batch of layers is measured for a table, so that nobody else measures the same ones.

    Args:
        table: the table's file.
        context: tells entries that can be compared from others, see `latency_table.Context`.
    """
    digest = hashlib.sha256(f"{table.resolve()}\n{context}".encode()).hexdigest()
    path = cache_folder() / f"filling-{digest[:16]}.lock"
    return Lock(path, "Waiting: %s is filling the same latency table.")


class _Patience:
    """What one who waits has of it; something is said when it ends."""

    def __init__(self, patience_s: float, say: Callable[[], None]) -> None:
        self._end_s = time.monotonic() + patience_s
        self._say: Callable[[], None] | None = say

    def lock(self, file: IO, how: int) -> None:
        """Waits for the lock of an open file."""
        while not _locked(file, how):
            if time.monotonic() < self._end_s:
                time.sleep(_POLL_S)
                continue
            if self._say is not None:
                self._say()
                self._say = None
            fcntl.flock(file, how)
            return


def _locked(file: IO, how: int) -> bool:
    """Whether the lock of an open file could be had at once."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tickets(path: Path) -> dict[int, Path]:
    """Those of a lock, by their numbers."""
    tickets = path.parent.glob(f"{path.name}{_TICKET}*")
    return {int(number): ticket for ticket in tickets if (number := ticket.name.rpartition("-")[2]).isdecimal()}


@contextmanager
def _ticket(path: Path) -> Iterator[int]:
    """A ticket with the next number; others see it once it is locked, and not before."""
    with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        while True:
            number = max(_tickets(path), default=0) + 1
            ticket = path.with_name(f"{path.name}{_TICKET}{number}")
            try:
                os.link(file.name, ticket)
            except FileExistsError:
                continue
            except OSError:  # a file system without links: there is no order then
                number = 0
            break
        try:
            yield number
        finally:
            ticket.unlink(missing_ok=True)


def _wait_for_those_before(path: Path, number: int, patience: _Patience) -> None:
    """Returns when all tickets of lower numbers are given back; those of processes that are gone are removed."""
    for earlier, ticket in sorted(_tickets(path).items()):
        if earlier >= number:
            return
        with suppress(FileNotFoundError), open(ticket) as file:
            patience.lock(file, fcntl.LOCK_SH)
            ticket.unlink(missing_ok=True)
