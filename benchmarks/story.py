"""What happened in one adaptation, read from its run directory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netadapt_tf.search.journal import Journal
from tflite_bench.errors import UserError


@dataclass(frozen=True)
class Story:
    """One adaptation; its first budget stands for all.

    Attributes:
        budget: as it was asked for.
        unit: of the amounts.
        asked: what the budget allows.
        measured: what the network of each iteration costs, the start first.
        predicted: what it was predicted to cost.
        accuracy: of each, on the hold-out set.
        start_widths: filters of every channel group at the start.
        widths: and at the end.
    """

    budget: str
    unit: str
    asked: float
    measured: Sequence[float]
    predicted: Sequence[float]
    accuracy: Sequence[float]
    start_widths: Mapping[str, int]
    widths: Mapping[str, int]


def read_story(run_dir: Path) -> Story:
    """Reads a finished run directory.

    Raises:
        UserError: it is none.
    """
    try:
        budget = json.loads((run_dir / "summary.json").read_text())["budgets"][0]
    except OSError as error:
        raise UserError(f"{run_dir} is no directory of a finished run: {error.strerror}") from error
    name = budget["budget"].rpartition("=")[0]
    records = list(Journal(run_dir / "journal.jsonl").events("iteration"))
    first, last = (
        json.loads((run_dir / f"iterations/{record['iteration']:03d}/widths.json").read_text())
        for record in (records[0], records[-1])
    )
    return Story(
        budget["budget"],
        budget["unit"],
        budget["asked"],
        [record["measured"][name] for record in records],
        [record["predicted"][name] for record in records],
        [record["accuracy"] for record in records],
        first,
        last,
    )
