"""Which rows a comparison has, and in which order they are trained: what decides first."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.compared_rows import Cell

START = "start"
NETADAPT = "netadapt"
BY_MACS = "netadapt by MACs"
RETRAINED = "retrained"
RETRAINED_WHOLE = "retrained for the whole compute"
MULTIPLIER = "multiplier"
MULTIPLIER_WHOLE = "multiplier for the whole compute"
UNIFORM = "uniform"
REGULARISED = "MorphNet-style"
MULTIPLIER_TAUGHT = "multiplier taught"
UNTAUGHT = "netadapt untaught"
DOUBLED = " doubled"

WHOLE = 100
"""The percentage at which the starting network's own rows stand."""

_ROUNDS = (
    (START,),
    (NETADAPT,),
    (MULTIPLIER_WHOLE, MULTIPLIER_TAUGHT, UNIFORM),
    (BY_MACS, REGULARISED),
    (MULTIPLIER, RETRAINED, RETRAINED_WHOLE),
)
KINDS = tuple(kind for kinds in _ROUNDS for kind in kinds)
"""How networks come about."""

_BY_LOSS = {"pick": "lowest_loss"}
_SMALL = {"initial_reduction": 0.025, "reduction_decay": 0.98}
_SMALL_BY_LOSS = {**_BY_LOSS, **_SMALL, "short_term_steps": 10}

SEARCHED_AGAIN = "netadapt searched again"
OF_SMALL_STEPS_MID_TERM = "netadapt of small steps with mid-term fine-tunes"
SEARCHED_OTHERWISE: Mapping[str, Mapping[str, Any]] = {
    SEARCHED_AGAIN: {},
    "netadapt by hold-out loss": _BY_LOSS,
    "netadapt of small steps by hold-out loss": _SMALL_BY_LOSS,
    OF_SMALL_STEPS_MID_TERM: {
        **_SMALL_BY_LOSS,
        "mid_term_epochs": 3,
        "mid_term_learning_rate": 0.04,
    },
    "netadapt of quarter steps with mid-term fine-tunes": {
        **_BY_LOSS,
        "initial_reduction": 0.0125,
        "reduction_decay": 0.99,
        "short_term_steps": 3,
        "mid_term_epochs": 1,
        "mid_term_learning_rate": 0.04,
    },
    "netadapt with mid-term fine-tunes by hold-out loss": {
        **_BY_LOSS,
        "mid_term_epochs": 5,
        "mid_term_learning_rate": 0.04,
    },
    "netadapt by best ratio": {"pick": "best_ratio"},
    "netadapt by Taylor": {"filters": "taylor"},
    "netadapt of 40 steps": {"short_term_steps": 40},
    "netadapt of small steps": _SMALL,
}
"""NetAdapt with other settings of its search, or the same once more; trained only where it is asked for."""

REGULARISED_AGAIN = "MorphNet-style regularised again"
"""The same once more: what its costs are taken from, and when it meets a budget, is measured; likewise."""

CUT_AT_ONCE: Mapping[str, str] = {f"{kind} cut at once": kind for kind in (NETADAPT, REGULARISED)}
"""The shape that another row found, cut from the starting network by L2 norm, as uniform shrinking is: what the shape
is worth, and what the training on the way to it; only where it is asked for.
"""

LARGER_RATE = 0.15
AT_LARGER_RATE = f" at a rate of {LARGER_RATE}"
LONGER = "netadapt of a last stage twice as long"
"""At the larger rate alone: as many steps in all as others take that train more on the way."""

_KINDS_AT_LARGER_RATE = tuple(
    kind + AT_LARGER_RATE for kind in (*KINDS, OF_SMALL_STEPS_MID_TERM, LONGER) if kind != START
)
"""The same, but that its last training begins at a larger learning rate; only where it is asked for."""

AGAINST = (NETADAPT, NETADAPT + AT_LARGER_RATE, OF_SMALL_STEPS_MID_TERM + AT_LARGER_RATE)
"""Which of NetAdapt's rows all others may be compared with."""

TRIED = (UNTAUGHT, *SEARCHED_OTHERWISE, REGULARISED_AGAIN, *CUT_AT_ONCE, *_KINDS_AT_LARGER_RATE)
"""What shows what a part of the method is worth, or might be."""

_MULTIPLIERS = (MULTIPLIER_WHOLE, MULTIPLIER_TAUGHT, MULTIPLIER)
MULTIPLIERS = (*_MULTIPLIERS, *(kind + AT_LARGER_RATE for kind in _MULTIPLIERS))
"""What has rows at the starting network's widths, too."""


def plan(seeds: Sequence[int], percents: Sequence[int], kinds: Sequence[str], doubled: bool) -> list[Cell]:
    """The rows to be trained, what decides first; doubled ones last.

    Args:
        seeds: of the rows; the first one's are doubled.
        percents: the latency budgets, the largest first.
        kinds: those that are wanted.
        doubled: whether one row of each kind is trained twice as long besides.
    """
    cells, middle = [], percents[len(percents) // 2]
    for of_round in (*_ROUNDS, (UNTAUGHT, REGULARISED_AGAIN), SEARCHED_OTHERWISE, CUT_AT_ONCE, _KINDS_AT_LARGER_RATE):
        at = [WHOLE] if START in of_round else percents
        cells += [Cell(seed, percent, kind) for seed in seeds for kind in of_round for percent in at if kind in kinds]
    cells += [Cell(seed, WHOLE, kind) for kind in MULTIPLIERS for seed in seeds if kind in kinds]
    if doubled:
        cells += [Cell(seeds[0], WHOLE if kind == START else middle, kind + DOUBLED) for kind in KINDS if kind in kinds]
    return cells
