"""How figures stand in a report: never apart from their units, at the end of a line; and what they are called."""

from collections.abc import Mapping, Sequence

from netadapt_tf import figures
from netadapt_tf.figures import NOT_KNOWN
from netadapt_tf.reporting.run_record import RunRecord
from netadapt_tf.resources.budget import COUNTED
from netadapt_tf.wording import counted

_SPACE = "\N{NO-BREAK SPACE}"

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
    """A cost and its unit, on one line."""
    return together(figures.amount(value, unit))


def score(value: float | None, metric: str) -> str:
    """A value of the metric, on one line."""
    return together(figures.score(value, metric))


def gain(before: float | None, after: float | None, metric: str) -> str:
    """The way from one value of the metric to another, on one line."""
    return together(figures.gain(before, after, metric))


def share(part: float | None, whole: float | None, decimals: int = 1) -> str:
    """A part of something, as a percentage, on one line."""
    return together(figures.share(part, whole, decimals))


def together(figure: str) -> str:
    """As pages set a figure: with a space before the sign for percent, and none where a line may end."""
    return figure.replace("%", " %").replace(" ", _SPACE)


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
