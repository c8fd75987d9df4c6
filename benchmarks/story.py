"""What happened in one adaptation, read from its run directory."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netadapt_tf.search.journal import Journal
from tflite_bench.errors import UserError


@dataclass(frozen=True)
class Story:
    """One adaptation; its first budget stands for all. Costs are shares of what the starting network costs.

    Attributes:
        budget: as it was asked for.
        asked: what the budget allows.
        measured: what the network of each iteration costs, the start first.
        predicted: what it was predicted to cost.
        accuracy: of each, on the hold-out set.
        start_widths: filters of every channel group at the start.
        widths: and at the end.
    """

    budget: str
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
        summary = json.loads((run_dir / "summary.json").read_text())
    except OSError as error:
        raise UserError(f"{run_dir} is no directory of a finished run: {error.strerror}") from error
    budget = summary["budgets"][0]
    name = budget["budget"].rpartition("=")[0]
    resource, _, target = name.partition("@")
    before = (summary["latency_ms"][target] if target else summary[resource])["before"]
    records = list(Journal(run_dir / "journal.jsonl").events("iteration"))
    first, last = (
        json.loads((run_dir / f"iterations/{record['iteration']:03d}/widths.json").read_text())
        for record in (records[0], records[-1])
    )
    start = records[0]["measured"][name]
    return Story(
        budget["budget"],
        budget["asked"] / before,
        [record["measured"][name] / start for record in records],
        [record["predicted"][name] / start for record in records],
        [record["accuracy"] for record in records],
        first,
        last,
    )
