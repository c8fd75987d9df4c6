"""The table of a family: the start and each delivered network, one line each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netadapt_tf.training.task import ACCURACY
from tflite_bench.adapter import remarks


def family_table(members: Sequence[tuple[Path, Mapping[str, Any]]]) -> str:
    """What `netadapt_tf.finetune` ends with.

    Args:
        members: folder and summary of each network, one or more.
    """
    _, first = members[0]
    metric = first["metric"]["name"]
    targets = [
        target for target in first["latency_ms"] if all(target in summary["latency_ms"] for _, summary in members)
    ]
    heading = ["iteration"]
    for target in targets:
        heading += [f"ms ({target})", "of start"]
    heading += [f"{metric} found", "fine-tuned", "MACs", "of start", "bytes", "of start"]
    start = ["0 (start)"]
    for target in targets:
        start += [f"{first['latency_ms'][target]['before']:.4f}", ""]
    start += [_value(metric, first["accuracy"]["before"]), "", f"{first['macs']['before']:,d}", ""]
    start += [f"{first['tflite_bytes']['before']:,d}", ""]
    rows = [heading, start, *(_row(metric, targets, summary) for _, summary in members)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines += [
        f"budget {row['budget']}: {'met' if row['met'] else 'NOT met'} by iteration {summary['iterations']}"
        for _, summary in members
        for row in summary["budgets"]
    ]
    if first["latency_is_from"] == "table":
        lines.append("Latencies are the table's; nothing was measured, nothing is proven.")
    for target in targets:
        lines += remarks(target, first["target"][target])
    return "\n".join([*lines, *(f"  {folder}" for folder, _ in members)])


def _row(metric: str, targets: Sequence[str], summary: Mapping[str, Any]) -> list[str]:
    row = [str(summary["iterations"])]
    for target in targets:
        latency = summary["latency_ms"][target]
        row += [f"{latency['after']:.4f}", f"{latency['after'] / latency['before']:.1%}"]
    row += [_value(metric, summary["accuracy"][when]) for when in ("after_search", "after")]
    for key in ("macs", "tflite_bytes"):
        before, after = (summary[key][when] for when in ("before", "after"))
        row += [f"{after:,d}", f"{after / before:.1%}"]
    return row


def _value(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == ACCURACY.name else f"{value:.4g}"
