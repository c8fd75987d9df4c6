"""`summary.json`, and the table that closes a run."""

import importlib.metadata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netadapt_tf.request import Request
from netadapt_tf.search.journal import Journal

_PACKAGES = ("tensorflow", "tf-keras", "ai-edge-litert", "numpy")


@dataclass(frozen=True)
class Delivered:
    """What a network costs as it ships.

    Attributes:
        parameters: number of weights, batch-norm statistics included.
        macs: multiply-accumulate operations of one inference.
        tflite_bytes: size of the `.tflite`.
        latency_ms: on the run's target, starting and adapted network timed in turn.
    """

    parameters: int
    macs: int
    tflite_bytes: int
    latency_ms: float

    def amount(self, resource: str) -> float:
        """What a budget on `resource` is compared with."""
        return self.latency_ms if resource == "latency" else getattr(self, resource)


def summarise(
    request: Request,
    command: str,
    journal: Journal,
    start: Delivered,
    adapted: Delivered,
    accuracy: Mapping[str, float],
    predicted_ms: float,
    iterations: int,
    fingerprint: Mapping[str, str | int],
) -> dict[str, Any]:
    """The contents of `summary.json`.

    Args:
        request: what was asked for.
        command: how.
        journal: where the time went.
        start: the starting network.
        adapted: the delivered network.
        accuracy: of the `.tflite` files on the test split: `before`, `after_search` (which comes before the long-term
            fine-tune) and `after`.
        predicted_ms: latency of the adapted network by the table, corrected by the starting network's error.
        iterations: how many the search took.
        fingerprint: of the device.
    """
    budget, target = request.budget, str(request.target)
    asked = budget.limit(start.amount(budget.resource))
    reached = adapted.amount(budget.resource)
    seconds: Counter[str] = Counter()
    for record in journal.events():
        wall_s = record.get("wall_s")
        if isinstance(wall_s, dict):
            seconds.update(wall_s)
    wall_s = {kind: round(total, 1) for kind, total in seconds.items()}
    return {
        "command": command,
        "seed": request.seed,
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "target": {target: dict(fingerprint)},
        "budgets": [
            {
                "budget": budget.text,
                "asked": asked,
                "reached": reached,
                "unit": "ms" if budget.resource == "latency" else budget.resource,
                "met": reached <= asked,
            }
        ],
        "accuracy": dict(accuracy),
        "latency_ms": {
            target: {"before": start.latency_ms, "after": adapted.latency_ms, "predicted_after": predicted_ms}
        },
        "macs": {"before": start.macs, "after": adapted.macs},
        "parameters": {"before": start.parameters, "after": adapted.parameters},
        "tflite_bytes": {"before": start.tflite_bytes, "after": adapted.tflite_bytes},
        "iterations": iterations,
        "wall_s": {**wall_s, "total": round(sum(wall_s.values()), 1)},
    }


def closing_table(summary: Mapping[str, Any], run_dir: Path) -> str:
    """What a run ends with: before and after, side by side, and where the files are."""
    rows = [("", "before", "after", "after / before")]
    accuracy = summary["accuracy"]
    points = 100 * (accuracy["after"] - accuracy["before"])
    rows.append(("accuracy (test)", f"{accuracy['before']:.2%}", f"{accuracy['after']:.2%}", f"{points:+.2f} points"))
    for target, latency in summary["latency_ms"].items():
        rows.append(_row(f"latency, ms ({target})", latency["before"], latency["after"], ".4f"))
        rows.append(_row("  predicted", latency["before"], latency["predicted_after"], ".4f"))
    for title, key in (("MACs", "macs"), ("parameters", "parameters"), ("file size, bytes", "tflite_bytes")):
        rows.append(_row(title, summary[key]["before"], summary[key]["after"], ",d"))
    lines = [f"{a:<26}{b:>14}{c:>14}{d:>18}" for a, b, c, d in rows]
    for budget in summary["budgets"]:
        verdict = "met" if budget["met"] else "NOT met"
        lines.append(
            f"budget {budget['budget']}: {verdict}; "
            f"at most {budget['asked']:.4g} {budget['unit']}, measured {budget['reached']:.4g}"
        )
    lines.append(f"{summary['iterations']} iterations, {summary['wall_s']['total'] / 60:.1f} minutes")
    for name in ("adapted.keras", "adapted.tflite", "start.tflite", "summary.json"):
        lines.append(f"  {run_dir / name}")
    return "\n".join(lines)


def _row(title: str, before: float, after: float, form: str) -> tuple[str, str, str, str]:
    return title, format(before, form), format(after, form), f"{after / before:.1%}"
