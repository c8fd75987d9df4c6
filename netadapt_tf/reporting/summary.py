"""`summary.json`, and the table that closes a run."""

import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netadapt_tf.figures import amount, column_ms, gain, number, score, share
from netadapt_tf.resources.budget import Budget
from netadapt_tf.search.file_names import REPORT
from netadapt_tf.search.journal import Journal
from netadapt_tf.settings import Settings
from netadapt_tf.training.task import Metric
from netadapt_tf.wording import counted
from tflite_bench.adapter import remarks
from tflite_bench.target import Target
from tflite_bench.version import DISTRIBUTION, VERSION

_PACKAGES = ("tensorflow", "tf-keras", "ai-edge-litert", "numpy")


@dataclass(frozen=True)
class Delivered:
    """What a network costs as it ships.

    Attributes:
        parameters: number of weights, batch-norm statistics included.
        macs: multiply-accumulate operations of one inference.
        tflite_bytes: size of the `.tflite`.
        latency_ms: on every target, starting and adapted network timed in turn.
        own: of the caller's resources that budgets are about, by name.
    """

    parameters: int
    macs: int
    tflite_bytes: int
    latency_ms: Mapping[Target, float]
    own: Mapping[str, float] = field(default_factory=dict)

    def amount(self, budget: Budget) -> float:
        """What a budget is compared with."""
        if budget.target:
            return self.latency_ms[budget.target]
        return self.own[budget.resource] if budget.resource in self.own else getattr(self, budget.resource)


def summarise(
    command: str,
    budgets: Sequence[Budget],
    settings: Settings,
    metric: Metric,
    journal: Journal,
    start: Delivered,
    adapted: Delivered,
    accuracy: Mapping[str, float],
    predicted_ms: Mapping[Target, float],
    iterations: int,
    fingerprints: Mapping[Target, Mapping[str, str | int]],
    table_only: bool = False,
    float32_accuracy: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The contents of `summary.json`.

    Args:
        command: how it was asked for.
        budgets: what had to be met.
        settings: how the network was adapted.
        metric: what `accuracy` holds the values of.
        journal: where the time went.
        start: the starting network.
        adapted: the delivered network.
        accuracy: of the `.tflite` files on the test set: `before`, `after_search` (which comes before the last stage)
            and `after`.
        predicted_ms: latency of the adapted network on every target, by the table, corrected by measurement.
        iterations: how many the search took.
        fingerprints: of the devices, by target.
        table_only: whether latencies are the table's alone.
        float32_accuracy: of the networks before they were rounded, `before` and `after`; None where they ship in
            float32.
    """
    wall_s = journal.wall_s()
    return {
        "command": command,
        "seed": settings.seed,
        "final": settings.final,
        "long_term_epochs": settings.long_term_epochs,
        "long_term_learning_rate": settings.long_term_learning_rate,
        "versions": {DISTRIBUTION: VERSION, **{name: importlib.metadata.version(name) for name in _PACKAGES}},
        "target": {str(target): dict(fingerprint) for target, fingerprint in fingerprints.items()},
        "budgets": [_budget_row(budget, start, adapted) for budget in budgets],
        "metric": {"name": metric.name, "larger_is_better": metric.larger_is_better},
        "precision": settings.precision,
        "accuracy": dict(accuracy),
        **({"float32_accuracy": dict(float32_accuracy)} if float32_accuracy else {}),
        "latency_is_from": "table" if table_only else "measurement",
        "latency_ms": {
            str(target): {
                "before": before_ms,
                "after": adapted.latency_ms[target],
                "predicted_after": predicted_ms[target],
            }
            for target, before_ms in start.latency_ms.items()
        },
        "macs": {"before": start.macs, "after": adapted.macs},
        "parameters": {"before": start.parameters, "after": adapted.parameters},
        "tflite_bytes": {"before": start.tflite_bytes, "after": adapted.tflite_bytes},
        "iterations": iterations,
        "wall_s": {**wall_s, "total": round(sum(wall_s.values()), 1)},
    }


def _budget_row(budget: Budget, start: Delivered, adapted: Delivered) -> dict[str, Any]:
    asked, reached = budget.limit(start.amount(budget)), adapted.amount(budget)
    return {
        "budget": budget.text,
        "asked": asked,
        "reached": reached,
        "unit": budget.unit,
        "met": math.isfinite(reached) and reached <= asked,
    }


def closing_table(summary: Mapping[str, Any], run_dir: Path) -> str:
    """What a run ends with: before and after, side by side, and where the files are."""
    rows = [("", "before", "after", "after / before")]
    rows.append(_metric_row(f"{summary['metric']['name']} (test)", summary, "accuracy"))
    if "float32_accuracy" in summary:
        rows.append(_metric_row("  before rounding, float32", summary, "float32_accuracy"))
    for target, latency in summary["latency_ms"].items():
        rows.append(_row(f"latency, ms ({target})", latency["before"], latency["after"], column_ms))
        rows.append(_row("  predicted", latency["before"], latency["predicted_after"], column_ms))
    for title, key in (("MACs", "macs"), ("parameters", "parameters"), ("file size, bytes", "tflite_bytes")):
        rows.append(_row(title, summary[key]["before"], summary[key]["after"], number))
    width = max(26, *(len(title) + 2 for title, *_ in rows))
    lines = [f"{a:<{width}}{b:>14}{c:>14}{d:>18}" for a, b, c, d in rows]
    from_table = summary.get("latency_is_from") == "table"
    for budget in summary["budgets"]:
        verdict = "met" if budget["met"] else "NOT met"
        how = "by the table" if from_table and budget["unit"] == "ms" else "measured"
        asked, reached = (amount(budget[key], budget["unit"]) for key in ("asked", "reached"))
        lines.append(f"budget {budget['budget']}: {verdict}; at most {asked}, {how} {reached}")
    if from_table:
        lines.append("Latencies are the table's; nothing was measured, nothing is proven.")
    for target, fingerprint in summary["target"].items():
        lines += remarks(target, fingerprint)
    if not summary["iterations"]:
        is_within = all(budget["met"] for budget in summary["budgets"])
        why = "The starting network was within budget already" if is_within else "No channel group could be cut"
        lines.append(f"{why}; it is delivered as it is.")
    lines.append(f"{counted(summary['iterations'], 'iteration')}, {summary['wall_s']['total'] / 60:.1f} minutes")
    names = ["adapted.keras", "adapted.tflite", "start.tflite", "summary.json"]
    lines += [f"  {run_dir / name}" for name in names]
    if (run_dir / REPORT).exists():
        lines.append(f"  {run_dir / REPORT}")
    return "\n".join(lines)


def _metric_row(title: str, summary: Mapping[str, Any], key: str) -> tuple[str, str, str, str]:
    before, after, metric = summary[key]["before"], summary[key]["after"], summary["metric"]["name"]
    return title, score(before, metric), score(after, metric), gain(before, after, metric)


def _row(title: str, before: float, after: float, form: Callable[[float], str]) -> tuple[str, str, str, str]:
    return title, form(before), form(after), share(after, before)
