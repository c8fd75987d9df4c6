"""The files of one delivered network on disk; each is written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tf_keras

from netadapt_tf.networks.files import load_network
from netadapt_tf.search.file_names import REPORT
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.mending import digest_of_file, is_as_delivered, is_sound_network
from netadapt_tf.training.checkpoint import Checkpoint
from tflite_bench.errors import UserError
from tflite_bench.whole_file import write_whole


class DeliveryFolder:
    """A folder into which a network is fine-tuned, converted and summarised, and the journal of that.

    Attributes:
        path: of the folder.
        journal: what is finished.
    """

    def __init__(self, path: Path, *, allow_lambda: bool = False) -> None:
        """Reads what is there; nothing is written.

        Args:
            path: the folder.
            allow_lambda: whether its networks may hold programs, see `files.load_network`.

        Raises:
            UserError: the journal cannot be read.
        """
        self.path = path
        self._allow_lambda = allow_lambda
        self.journal = Journal(path / "journal.jsonl")

    def is_as_summarised(self, summary: Mapping[str, Any]) -> bool:
        """Whether the delivered files are there, and those that a summary is about."""
        is_there = is_sound_network(self.file("adapted.keras")) and self.file("adapted.tflite").exists()
        return is_there and is_as_delivered(self.path, summary)

    def reopen(self) -> None:
        """Takes back that the network is delivered: its files are about to change."""
        for name in ("summary.json", REPORT):
            self.file(name).unlink(missing_ok=True)

    def file(self, name: str) -> Path:
        """The path of a file in it."""
        return self.path / name

    def digest(self, name: str) -> str:
        """SHA-256 of a file in it; empty where it is not there."""
        return digest_of_file(self.file(name))

    def is_done(self, event: str, iteration: int, name: str) -> bool:
        """Whether a stage of an iteration's network is recorded, and the file that it wrote is still that one."""
        digest = self.digest(name)
        records = self.journal.events(event)
        return any((record["iteration"], record.get("sha256")) == (iteration, digest) for record in records)

    def load_network(self, name: str) -> tf_keras.Model:
        """A network that is kept here, by the name of its file."""
        if not self.file(name).is_file():
            raise UserError(f"{self.path} is damaged: {name} is gone; name another run directory")
        return load_network(self.file(name), allow_lambda=self._allow_lambda)

    def checkpoint(self, stage: str) -> Checkpoint:
        """Where a stage of training keeps its finished epochs while it is under way."""
        name = f"{stage}.checkpoint.npz"
        return Checkpoint(self.file(name), lambda content: self.write_bytes(name, content))

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file."""
        self.write_bytes(name, (json.dumps(value, indent=2) + "\n").encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes a file."""
        write_whole(self.path / name, content)

    def read_json(self, name: str) -> Any | None:
        """A JSON file's value, or None when there is no such file."""
        path = self.path / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); name another run directory") from error
