"""How figures are written, one rule for each kind, in logs, messages, tables and the report alike."""

import math

ACCURACY = "accuracy"
"""The metric whose values are shares."""

NOT_KNOWN = "–"  # noqa: RUF001 - a dash, as tables have it


def number(value: float | None, digits: int = 4) -> str:
    """A cost whose unit is said elsewhere: counts and large ones in full, others to so many digits."""
    if value is None:
        return NOT_KNOWN
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def amount(value: float | None, unit: str) -> str:
    """A cost and its unit."""
    return NOT_KNOWN if value is None else f"{number(value)} {unit}"


def column_ms(latency_ms: float) -> str:
    """A latency among others in a column, whose points are to stand below each other."""
    return f"{latency_ms:.4f}"


def score(value: float | None, metric: str) -> str:
    """A value of the metric; accuracies as percentages."""
    if value is None:
        return NOT_KNOWN
    return f"{value:.2%}" if metric == ACCURACY else f"{value:.4g}"


def gain(before: float | None, after: float | None, metric: str) -> str:
    """The way from one value of the metric to another."""
    if before is None or after is None:
        return NOT_KNOWN
    return f"{100 * (after - before):+.2f} points" if metric == ACCURACY else f"{after - before:+.4g}"


def share(part: float | None, whole: float | None, decimals: int = 1) -> str:
    """A part of something, as a percentage."""
    return NOT_KNOWN if part is None or not whole else f"{part / whole:.{decimals}%}"
