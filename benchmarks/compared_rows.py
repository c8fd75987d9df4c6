"""The finished rows of a comparison: one CSV file for each seed, and which test images each row's network has right."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.rows import Row, RowFile, finished_rows
from netadapt_tf.networks.channel_groups import Widths

_COLUMNS = ("percent", "kind", "accuracy", "steps", "steps_before", "minutes", "minutes_before", "images", "widths")


class Cell(NamedTuple):
    """Which row: one seed's, at one latency budget.

    Attributes:
        seed: of data, weights and proposals.
        percent: the latency budget, of the starting network's latency.
        kind: how the network comes about, see `comparison_plan`.
    """

    seed: int
    percent: int
    kind: str


@dataclass(frozen=True)
class ComparedRow:
    """A network that was trained and tested.

    Attributes:
        cell: which row.
        widths: of the network.
        right: which test images its `.tflite` has right, bool [N].
        steps: training steps of its last training.
        steps_before: those that led there: pre-training, and a search's, evaluations counted by their work.
        minutes: of the processor, of its last training; nan where they were not counted whole.
        minutes_before: of what led there.
    """

    cell: Cell
    widths: Widths
    right: np.ndarray
    steps: int
    steps_before: int
    minutes: float
    minutes_before: float

    @property
    def accuracy(self) -> float:
        """On the test set."""
        return float(self.right.mean())

    @property
    def all_steps(self) -> int:
        """Training steps, those that led there included."""
        return self.steps + self.steps_before

    @property
    def all_minutes(self) -> float:
        """Minutes of the processor, those that led there included."""
        return self.minutes + self.minutes_before


class ComparedRows:
    """The rows of one output folder; several processes may add to it, each to those of a seed that it has claimed."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder, which exists."""
        self._folder = folder

    @contextmanager
    def claimed(self, seed: int) -> Iterator[bool]:
        """Whether this process has a seed to itself, inside; False while another one has."""
        scratch = self.scratch(seed)
        scratch.mkdir(exist_ok=True)
        with open(scratch / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def scratch(self, seed: int) -> Path:
        """Where a seed's searches and networks are kept while rows are missing."""
        return self._folder / f"seed_{seed}"

    def seeds(self) -> list[int]:
        """Those of which there are rows."""
        return sorted(int(path.stem.removeprefix("rows_")) for path in self._folder.glob("rows_*.csv"))

    def cells(self, seed: int) -> set[Cell]:
        """The finished rows of a seed."""
        return {_cell(seed, row) for row in finished_rows(self._path(seed))}

    def get(self, cell: Cell) -> ComparedRow | None:
        """A finished row; the newest, where it was done twice."""
        rows = [row for row in finished_rows(self._path(cell.seed)) if _cell(cell.seed, row) == cell]
        return self._compared(cell, rows[-1]) if rows else None

    def all_rows(self) -> list[ComparedRow]:
        """All finished rows, seed by seed, in the order in which they were finished."""
        cells = (_cell(seed, row) for seed in self.seeds() for row in finished_rows(self._path(seed)))
        return [row for cell in dict.fromkeys(cells) if (row := self.get(cell))]

    def add(self, row: ComparedRow) -> None:
        """Keeps a finished row of a seed that is claimed."""
        right = self._right_path(row.cell)
        right.parent.mkdir(exist_ok=True)
        np.save(right, np.packbits(row.right))
        values = {
            "percent": row.cell.percent,
            "kind": row.cell.kind,
            "accuracy": row.accuracy,
            "steps": row.steps,
            "steps_before": row.steps_before,
            "minutes": row.minutes,
            "minutes_before": row.minutes_before,
            "images": len(row.right),
            "widths": json.dumps(dict(row.widths)),
        }
        RowFile(self._path(row.cell.seed), _COLUMNS).add(values)

    def _compared(self, cell: Cell, row: Row) -> ComparedRow:
        return ComparedRow(
            cell,
            json.loads(row["widths"]),
            np.unpackbits(np.load(self._right_path(cell)), count=int(row["images"])).astype(bool),
            int(row["steps"]),
            int(row["steps_before"]),
            float(row["minutes"]),
            float(row["minutes_before"]),
        )

    def _path(self, seed: int) -> Path:
        return self._folder / f"rows_{seed}.csv"

    def _right_path(self, cell: Cell) -> Path:
        name = cell.kind.replace(" ", "_")
        return self._folder / "right" / f"{cell.seed}_{cell.percent}_{name}.npy"


def _cell(seed: int, row: Row) -> Cell:
    return Cell(seed, int(row["percent"]), row["kind"])
