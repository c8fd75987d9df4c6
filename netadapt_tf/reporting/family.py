"""The table of a family: the start and each delivered network, one line each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netadapt_tf.figures import column_ms, number, score, share
from tflite_bench.adapter import remarks


def family_table(members: Sequence[tuple[Path, Mapping[str, Any]]]) -> str:
    """What `netadapt_tf.finetune` ends with.

    Args:
        members: folder and summary of each network, one or more.
    """
    summaries = [summary for _, summary in members]
    first, targets = summaries[0], common_targets(summaries)
    rows = family_rows(first["metric"]["name"], summaries)
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


def common_targets(summaries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The targets that all of these networks were measured on."""
    return [target for target in summaries[0]["latency_ms"] if all(target in s["latency_ms"] for s in summaries)]


def family_rows(metric: str, summaries: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Titles of the columns, the start, and each network, as texts.

    Args:
        metric: its name.
        summaries: of the networks, one or more.
    """
    first, targets = summaries[0], common_targets(summaries)
    heading, start = ["iteration"], ["0 (start)"]
    for target in targets:
        heading += [f"ms ({target})", "of start"]
        start += [column_ms(first["latency_ms"][target]["before"]), ""]
    heading += [f"{metric} found", "fine-tuned", "MACs", "of start", "bytes", "of start"]
    start += [score(first["accuracy"]["before"], metric), "", number(first["macs"]["before"]), ""]
    start += [number(first["tflite_bytes"]["before"]), ""]
    return [heading, start, *(_row(metric, targets, summary) for summary in summaries)]


def _row(metric: str, targets: Sequence[str], summary: Mapping[str, Any]) -> list[str]:
    row = [str(summary["iterations"])]
    for target in targets:
        latency = summary["latency_ms"][target]
        row += [column_ms(latency["after"]), share(latency["after"], latency["before"])]
    row += [score(summary["accuracy"].get(when), metric) for when in ("after_search", "after")]
    for key in ("macs", "tflite_bytes"):
        before, after = (summary[key][when] for when in ("before", "after"))
        row += [number(after), share(after, before)]
    return row
