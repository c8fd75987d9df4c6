"""Budgets and their grammar: `RESOURCE[@TARGET]=AMOUNT`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from tflite_bench.errors import UserError
from tflite_bench.target import Target, parse_target

GRAMMAR = (
    "RESOURCE[@TARGET]=AMOUNT, for example latency@host/cpu:1=60%, latency@host/cpu:1=8ms, macs=150M, "
    "parameters=50% or tflite_bytes=2MB"
)

Units = Mapping[str, float]
"""What may stand behind a number, and how much of the resource's unit that is; the unit itself, 1, comes first."""

_UNITS: Mapping[str, Units] = {
    "latency": {"ms": 1.0, "us": 1e-3},
    "macs": {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9},
    "parameters": {"": 1.0, "K": 1e3, "M": 1e6},
    "tflite_bytes": {"": 1.0, "B": 1.0, "KB": 1e3, "MB": 1e6},
}
COUNTED = {"macs": "MACs", "parameters": "parameters", "tflite_bytes": "bytes"}
"""What is counted, as a person says it."""

RESOURCES = tuple(_UNITS)
"""The resources that are known by name."""

_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([A-Za-z%]*)")
_SUGGESTED_DIGITS = 3


@dataclass(frozen=True)
class Budget:
    """What is allowed at the end.

    Attributes:
        text: as the user wrote it.
        resource: `latency`, `macs`, `parameters`, `tflite_bytes`, or one that the caller brings.
        target: where latency is measured; None for the others.
        amount: in the resource's unit (ms, or a count), or a share of the starting network.
        relative: whether `amount` is a share.
        units: of the resource.
    """

    text: str
    resource: str
    target: Target | None
    amount: float
    relative: bool
    units: Units = field(repr=False, compare=False)

    @property
    def unit(self) -> str:
        """The resource's unit; what is counted, where it has none."""
        return next(iter(self.units)) or COUNTED.get(self.resource, self.resource)

    @property
    def name(self) -> str:
        """Resource and target: the budget without its amount."""
        return self.resource if self.target is None else f"{self.resource}@{self.target}"

    def limit(self, start: float) -> float:
        """The most that is allowed, in the resource's unit, for a starting network that costs `start`."""
        return self.amount * start if self.relative else self.amount


def parse_budget(text: str, own: Mapping[str, Units] | None = None) -> Budget:
    """Reads a budget.

    Args:
        text: as the user wrote it.
        own: the units of resources that the caller brings, by name.

    Raises:
        UserError: the text does not follow the grammar, which the message shows.
    """
    name, separator, amount = text.rpartition("=")
    resource, at, target = name.partition("@")
    match = _AMOUNT.fullmatch(amount)
    if not separator or not match:
        raise UserError(f"budget {text!r} should read {GRAMMAR}")
    known = {**_UNITS, **(own or {})}
    if resource not in known:
        raise UserError(f"budget {text!r}: unknown resource {resource!r}; known are {', '.join(known)}")
    if (resource == "latency") != bool(at):
        needs = "needs a target (latency@host/cpu:1)" if resource == "latency" else "takes no target"
        raise UserError(f"budget {text!r}: {resource} {needs}; a budget reads {GRAMMAR}")
    number, unit, units = float(match[1]), match[2], known[resource]
    if unit != "%" and unit not in units:
        taken = ", ".join(unit or "a plain number" for unit in ("%", *units))
        raise UserError(f"budget {text!r}: unknown unit {unit!r}; {resource} takes {taken}")
    if number <= 0 or (unit == "%" and number > 100):
        raise UserError(f"budget {text!r}: the amount must be above 0, and a percentage at most 100%")
    return Budget(
        text=text,
        resource=resource,
        target=parse_target(target) if at else None,
        amount=number / 100 if unit == "%" else number * units[unit],
        relative=unit == "%",
        units=units,
    )


def parse_budgets(texts: Sequence[str], own: Mapping[str, Units] | None = None) -> tuple[Budget, ...]:
    """Reads all budgets of a run.

    Args:
        texts: as the user wrote them.
        own: the units of resources that the caller brings, by name.

    Raises:
        UserError: none, two for one resource and target, or one that does not follow the grammar.
    """
    if isinstance(texts, str) or not texts or not all(isinstance(text, str) for text in texts):
        raise UserError(f"budgets should be a list of one budget or more; it is {texts!r}")
    budgets = tuple(parse_budget(text, own) for text in texts)
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
    exact = Decimal(least / (start / 100 if budget.relative else budget.units[unit]))
    step = Decimal(1).scaleb(exact.adjusted() + 1 - _SUGGESTED_DIGITS)
    amount = exact.quantize(step, ROUND_CEILING)
    while not budget.relative or amount <= 100:
        text = f"{budget.name}={amount.normalize():f}{unit}"
        suggested = parse_budget(text, {budget.resource: budget.units})
        if suggested.limit(start) >= least:  # not so at once where floating point rounded down
            return text
        amount += step
    return None
