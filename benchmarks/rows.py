"""Finished rows of a comparison, kept so that they are never done again."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FIELDS = ("row", "accuracy", "training_steps", "minutes", "widths")


@dataclass(frozen=True)
class Row:
    """A network and the training it had.

    Attributes:
        name: as in the table.
        accuracy: of its `.tflite` on the test set.
        training_steps: all that went into it, pre-training and search included.
        minutes: the same in wall time.
        widths: filters by channel group.
    """

    name: str
    accuracy: float
    training_steps: int
    minutes: float
    widths: dict[str, int]


class Rows:
    """The finished rows, in a folder."""

    def __init__(self, folder: Path) -> None:
        """Reads what is there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / "rows.csv"
        self._rows: dict[str, Row] = {}
        if self._path.exists():
            with open(self._path, newline="") as file:
                for record in csv.DictReader(file):
                    self._rows[record["row"]] = Row(
                        record["row"],
                        float(record["accuracy"]),
                        int(record["training_steps"]),
                        float(record["minutes"]),
                        json.loads(record["widths"]),
                    )

    def __getitem__(self, name: str) -> Row:
        return self._rows[name]

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def add(self, row: Row, right: np.ndarray) -> None:
        """Keeps a row, and which test images it has right."""
        np.save(self._right(row.name), np.packbits(right))
        self._rows[row.name] = row
        with open(self._path, "a", newline="") as file:
            writer = csv.writer(file)
            if file.tell() == 0:
                writer.writerow(_FIELDS)
            writer.writerow([row.name, row.accuracy, row.training_steps, round(row.minutes, 2), json.dumps(row.widths)])

    def right(self, name: str, count: int) -> np.ndarray:
        """Which of the `count` test images a row's network has right, bool [count]."""
        return np.unpackbits(np.load(self._right(name)), count=count).astype(bool)

    def _right(self, name: str) -> Path:
        return self._folder / f"{name.replace(', ', '_').replace(' ', '_')}.right.npy"
