"""How figures are written in a report: few digits, and the unit beside them."""

import math
from collections.abc import Mapping, Sequence

from netadapt_tf.reporting.run_record import ACCURACY, RunRecord
from netadapt_tf.resources.budget import COUNTED

_SPACE = "\N{NO-BREAK SPACE}"
NOT_KNOWN = "–"  # noqa: RUF001 - a dash, as tables have it

_TITLES = {"macs": "MACs", "parameters": "Parameters", "tflite_bytes": "File size"}


def unit_of(resource: str, runs: Sequence[RunRecord]) -> str:
    """The unit of a resource; its name, where it is one that no summary tells of."""
    if resource.startswith("latency@"):
        return "ms"
    if resource in COUNTED:
        return COUNTED[resource]
    rows = [row for run in runs if run.summary for row in run.summary["budgets"]]
    return next(
        (str(row.get("unit", resource)) for row in rows if row["budget"].rpartition("=")[0] == resource), resource
    )


def title_of(resource: str) -> str:
    """A resource as the title of a chart or a card."""
    kind, _, target = resource.partition("@")
    return f"Latency on {target}" if kind == "latency" else _TITLES.get(resource, resource)


def amount(value: float | None, unit: str) -> str:
    """A cost and its unit."""
    return NOT_KNOWN if value is None else f"{number(value)}{_SPACE}{unit}"


def number(value: float | None, digits: int = 4) -> str:
    """A cost: large ones in full, others to so many digits."""
    if value is None or not math.isfinite(value):
        return NOT_KNOWN
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if isinstance(value, int) or value == int(value):
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def score(value: float | None, metric: str) -> str:
    """A value of the metric; accuracies as percentages."""
    if value is None:
        return NOT_KNOWN
    return f"{value:.2%}".replace("%", f"{_SPACE}%") if metric == ACCURACY else f"{value:.4g}"


def gain(before: float | None, after: float | None, metric: str) -> str:
    """The way from one value of the metric to another."""
    if before is None or after is None:
        return NOT_KNOWN
    if metric == ACCURACY:
        return f"{100 * (after - before):+.2f}{_SPACE}points"
    return f"{after - before:+.4g}"


def share(part: float | None, whole: float | None, decimals: int = 1) -> str:
    """A part of something, as a percentage."""
    return NOT_KNOWN if part is None or not whole else f"{part / whole:.{decimals}%}".replace("%", f"{_SPACE}%")


def seconds(wall_s: float) -> str:
    """How long something took."""
    if wall_s < 100:
        return f"{wall_s:.1f}{_SPACE}s" if wall_s < 10 else f"{wall_s:.0f}{_SPACE}s"
    return f"{wall_s / 60:.1f}{_SPACE}min" if wall_s < 6000 else f"{wall_s / 3600:.1f}{_SPACE}h"


def changes(start: Mapping[str, int], widths: Mapping[str, int]) -> list[str]:
    """What became of the channel groups, one a line; those that are as at the start are counted."""
    if not widths:
        return ["widths not known"]
    before = {name: str(start.get(name, NOT_KNOWN)) for name in widths}
    cut = [f"{name}: {before[name]} → {filters}" for name, filters in widths.items() if filters != start.get(name)]
    same = len(widths) - len(cut)
    return [*cut, f"{counted(same, 'group')} as at the start"] if same else cut


def counted(count: int, noun: str) -> str:
    """So many of something."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
