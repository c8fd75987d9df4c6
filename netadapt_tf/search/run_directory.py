"""Everything of one adaptation on disk."""

import fcntl
import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.files import save_network
from netadapt_tf.resources.budget import Budget, parse_budgets
from netadapt_tf.search.delivery_folder import DeliveryFolder
from netadapt_tf.search.file_names import FAMILY
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.mending import is_sound_iteration, mend, read_summary
from netadapt_tf.settings import with_settings_before
from tflite_bench.damage import set_aside
from tflite_bench.errors import UserError

RESERVED = ("budgets", "hash")
"""Keys of `config.json` that are no part of a request."""


class RunDirectory(DeliveryFolder):
    """The files of a run and where they are; what it delivers lies in it, and each member of its family in a folder."""

    def __init__(
        self, path: Path, request: Mapping[str, Any], budgets: Sequence[Budget], *, allow_lambda: bool = False
    ) -> None:
        """Reads what is there; nothing is written before `claimed`.

        Args:
            path: the directory.
            request: what was asked for, as far as it changes results; JSON values.
            budgets: the same as before, or lower ones.
            allow_lambda: whether its networks may hold programs, see `files.load_network`.

        Raises:
            UserError: the directory belongs to another request, is damaged, or cannot be written.
        """
        super().__init__(path, allow_lambda=allow_lambda)
        self._request = request
        self._budgets = budgets
        self._check()

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Inside, the directory is this request's, now that it is known to make sense, and this process's.

        What is damaged in it is set aside, see `mending`.

        Raises:
            UserError: it cannot be written, or another process works in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = open(self.path / ".lock", "w")  # noqa: SIM115 - closed below
        except OSError as error:
            raise UserError(f"the run directory {self.path} cannot be written: {error}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                earlier = self._check()  # another process may have been here since
                self.journal = Journal(self.path / "journal.jsonl")
                mend(self.path, self.journal)
                request = {key: value for key, value in {**earlier, **self._request}.items() if key not in RESERVED}
                config = {**request, "budgets": [budget.text for budget in self._budgets], "hash": _hash(request)}
                self.write_json("config.json", config)
                (self.path / "iterations").mkdir(exist_ok=True)
            except BlockingIOError as error:
                raise UserError(f"another process works in {self.path}; wait for it, or name another one") from error
            except OSError as error:
                raise UserError(f"the run directory {self.path} cannot be written: {error}") from error
            yield

    def _check(self) -> dict[str, Any]:
        """The configuration that is there, empty in a new directory."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file; the run directory should be a folder")
        nearest = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise UserError(f"the run directory {self.path} cannot be written; name another folder")
        earlier = self.read_json("config.json")
        if earlier is None:
            if self.path.exists() and any(not file.name.startswith(".") for file in self.path.iterdir()):
                raise UserError(f"{self.path} holds other files; name an empty or new folder")
            return {}
        if not isinstance(earlier, dict) or "hash" not in earlier:
            raise UserError(f"{self.path} holds a config.json that is not ours; name another folder")
        there = with_settings_before(earlier)
        differing = [
            f"{name} (there {_shown(there.get(name))}, now {_shown(value)})"
            for name, value in self._request.items()
            if there.get(name) != value
        ]
        try:
            before = parse_budgets(earlier["budgets"], {budget.resource: budget.units for budget in self._budgets})
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.path / 'config.json'} is damaged; name another run directory") from error
        except UserError as error:
            raise UserError(
                f"{self.path / 'config.json'} holds budgets that mean nothing here ({error}); name another run "
                "directory"
            ) from error
        higher = looser(before, self._budgets)
        if higher and self.summary(self._budgets) is not None:
            higher = ""
        if differing:
            what = ", ".join([*differing, higher] if higher else differing)
            raise UserError(f"{self.path} belongs to another request; it differs in {what}; use another run directory")
        if higher:
            flags = [f"--run_dir={self.path}", *(f"--budget={budget.text}" for budget in self._budgets)]
            raise UserError(
                f"{self.path} belongs to another request; it differs in {higher}; use another run directory, or ask "
                f"for a network of its search that is within them: python -m netadapt_tf.finetune {shlex.join(flags)}"
            )
        return earlier

    def summary(self, budgets: Sequence[Budget]) -> dict[str, Any] | None:
        """The summary, if the run is finished for these budgets, in whatever order.

        None, too, where what it delivered or its last iteration is damaged or gone: that is done again.
        """
        summary = read_summary(self.file("summary.json"))
        if summary is None or sorted(row["budget"] for row in summary["budgets"]) != sorted(b.text for b in budgets):
            return None
        last = summary["iterations"]
        is_whole = self.is_as_summarised(summary) and self.has_iteration(last) and self.has_widths(last)
        return summary if is_whole else None

    def iteration(self, iteration: int) -> Path:
        """The folder of an iteration's network; 0 is the start."""
        return self.path / "iterations" / f"{iteration:03d}"

    def save_iteration(self, iteration: int, network: tf_keras.Model, widths: Widths) -> None:
        """Keeps an iteration's network and widths."""
        folder = self.iteration(iteration)
        folder.mkdir(exist_ok=True)
        save_network(network, folder / "network.keras")
        self.write_json(f"iterations/{iteration:03d}/widths.json", dict(widths))

    def has_iteration(self, iteration: int) -> bool:
        """Whether an iteration's network is kept, and sound."""
        return is_sound_iteration(self.iteration(iteration))

    def widths(self, iteration: int) -> dict[str, int]:
        """An iteration's widths."""
        widths = self.read_json(f"iterations/{iteration:03d}/widths.json")
        if widths is None:
            raise UserError(
                f"{self.path} is damaged: the widths of iteration {iteration} are gone; name another run directory"
            )
        return widths

    def has_widths(self, iteration: int) -> bool:
        """Whether an iteration's widths are those that its picks have left of the start's, as far as files tell."""
        start, kept = self._kept_widths(0), self._kept_widths(iteration)
        return isinstance(start, dict) and kept == dict(self._followed(start)).get(iteration, kept)

    def mend_widths(self, start: Widths) -> None:
        """Writes widths anew where they are not those that an iteration's picks have left of the start's.

        Args:
            start: of the starting network.
        """
        for iteration, widths in self._followed(start):
            name = f"iterations/{iteration:03d}/widths.json"
            if not self.iteration(iteration).is_dir() or self._kept_widths(iteration) == widths:
                continue
            if self.file(name).exists():  # else a kill may have come before it was written
                aside = set_aside(self.file(name))
                logging.warning("%s is damaged; it is set aside as %s, and written anew.", self.file(name), aside.name)
            self.write_json(name, widths)

    def _kept_widths(self, iteration: int) -> Any:
        """What `widths.json` holds, whatever that is; None where it cannot be read."""
        try:
            return json.loads((self.iteration(iteration) / "widths.json").read_text())
        except (OSError, ValueError):
            return None

    def _followed(self, start: Widths) -> Iterator[tuple[int, dict[str, int]]]:
        """The widths of every recorded iteration, as far as the journal says what was picked."""
        widths = dict(start)
        yield 0, widths
        for record in self.journal.events("iteration"):
            if record["iteration"]:
                if not {"picked", "filters"} <= record.keys():
                    return
                widths = {**widths, record["picked"]: record["filters"]}
                yield record["iteration"], widths

    def load_iteration(self, iteration: int) -> tf_keras.Model:
        """An iteration's network."""
        return self.load_network(f"iterations/{iteration:03d}/network.keras")

    def member(self, iteration: int) -> DeliveryFolder:
        """The folder of a member of the family: that iteration's network, long-term fine-tuned and delivered."""
        return DeliveryFolder(self.path / FAMILY / f"{iteration:03d}", allow_lambda=self._allow_lambda)


def _shown(value: object) -> str:
    return str(value) or "''"


def looser(before: Sequence[Budget], now: Sequence[Budget]) -> str:
    """How budgets differ from those that a run was begun for, empty where all are the same or lower.

    A budget that is new would need what the iterations so far have cost; one that is gone has shaped them.

    Args:
        before: those that the run was begun for.
        now: those that are asked for.
    """
    earlier = {budget.name: budget for budget in before}
    if earlier.keys() != {budget.name for budget in now}:
        there, here = (", ".join(budget.text for budget in budgets) for budgets in (before, now))
        return f"budgets (there {there}, now {here}: only the same ones, or lower, go on)"
    pairs = [(earlier[budget.name], budget) for budget in now]
    return ", ".join(
        f"budget (there {old.text}, now {new.text}: only lower ones, written alike, go on)"
        for old, new in pairs
        if old.relative != new.relative or new.amount > old.amount
    )


def _hash(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
