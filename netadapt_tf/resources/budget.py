"""Budgets and their grammar: `RESOURCE[@TARGET]=AMOUNT`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from tflite_bench.errors import UserError
from tflite_bench.target import Target, parse_target

GRAMMAR = (
    "RESOURCE[@TARGET]=AMOUNT, for example latency@host/cpu:1=60%, latency@host/cpu:1=8ms, macs=150M, "
    "parameters=50% or tflite_bytes=2MB"
)

_UNITS = {
    "latency": {"ms": 1.0, "us": 1e-3},
    "macs": {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9},
    "parameters": {"": 1.0, "K": 1e3, "M": 1e6},
    "tflite_bytes": {"": 1.0, "B": 1.0, "KB": 1e3, "MB": 1e6},
}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([A-Za-z%]*)")
_SUGGESTED_DIGITS = 3


@dataclass(frozen=True)
class Budget:
    """What is allowed at the end.

    Attributes:
        text: as the user wrote it.
        resource: `latency`, `macs`, `parameters` or `tflite_bytes`.
        target: where latency is measured; None for the others.
        amount: in the resource's unit (ms, or a count), or a share of the starting network.
        relative: whether `amount` is a share.
    """

    text: str
    resource: str
    target: Target | None
    amount: float
    relative: bool

    @property
    def name(self) -> str:
        """Resource and target: the budget without its amount."""
        return self.resource if self.target is None else f"{self.resource}@{self.target}"

    def limit(self, start: float) -> float:
        """The most that is allowed, in the resource's unit, for a starting network that costs `start`."""
        return self.amount * start if self.relative else self.amount


def parse_budget(text: str) -> Budget:
    """Reads a budget.

    Raises:
        UserError: the text does not follow the grammar, which the message shows.
    """
    name, separator, amount = text.rpartition("=")
    resource, at, target = name.partition("@")
    match = _AMOUNT.fullmatch(amount)
    if not separator or not match:
        raise UserError(f"budget {text!r} should read {GRAMMAR}")
    if resource not in _UNITS:
        raise UserError(f"budget {text!r}: unknown resource {resource!r}; known are {', '.join(_UNITS)}")
    if (resource == "latency") != bool(at):
        needs = "needs a target (latency@host/cpu:1)" if resource == "latency" else "takes no target"
        raise UserError(f"budget {text!r}: {resource} {needs}; a budget reads {GRAMMAR}")
    number, unit = float(match[1]), match[2]
    if unit != "%" and unit not in _UNITS[resource]:
        units = ", ".join(unit or "a plain number" for unit in ("%", *_UNITS[resource]))
        raise UserError(f"budget {text!r}: unknown unit {unit!r}; {resource} takes {units}")
    if number <= 0 or (unit == "%" and number > 100):
        raise UserError(f"budget {text!r}: the amount must be above 0, and a percentage at most 100%")
    return Budget(
        text=text,
        resource=resource,
        target=parse_target(target) if at else None,
        amount=number / 100 if unit == "%" else number * _UNITS[resource][unit],
        relative=unit == "%",
    )


def parse_budgets(texts: Sequence[str]) -> tuple[Budget, ...]:
    """Reads all budgets of a run.

    Raises:
        UserError: none, two for one resource and target, or one that does not follow the grammar.
    """
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
        raise UserError(f"budgets should be a list of one budget or more; it is {texts!r}")
    budgets = tuple(map(parse_budget, texts))
    first: dict[str, Budget] = {}
    for budget in budgets:
        if first.setdefault(budget.name, budget) is not budget:
            raise UserError(
                f"budgets {first[budget.name].text} and {budget.text} are both about {budget.name}; give one of them"
            )
    return budgets


def least_budget(budget: Budget, start: float, least: float) -> str | None:
    """A budget like the given one, in the same unit, that a network of a given cost is within.

    Args:
        budget: one that cannot be reached.
        start: what the starting network costs.
        least: the least that can be reached, above 0; in the resource's unit, like `start`.

    Returns:
        A text that `parse_budget` reads, its amount rounded up to three digits; None where it would be above 100%.
    """
    unit = budget.text.rpartition("=")[2].lstrip("0123456789.")
    exact = Decimal(least / (start / 100 if budget.relative else _UNITS[budget.resource][unit]))
    step = Decimal(1).scaleb(exact.adjusted() + 1 - _SUGGESTED_DIGITS)
    amount = exact.quantize(step, ROUND_CEILING)
    while not budget.relative or amount <= 100:
        text = f"{budget.name}={amount.normalize():f}{unit}"
        if parse_budget(text).limit(start) >= least:  # not so at once where floating point rounded down
            return text
        amount += step
    return None


def amount_text(amount: float, unit: str) -> str:
    """An amount as messages show it: counts in full, milliseconds to four digits."""
    digits = f"{amount:.4g}" if unit == "ms" and amount < 1000 else f"{amount:,.0f}"
    return f"{digits} {unit}"
