"""Resources that a caller brings, beside those that budgets know by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.budget import RESOURCES, Units
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.resource import Resource
from tflite_bench.errors import UserError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNIT = re.compile(r"[A-Za-z]*")


@dataclass(frozen=True)
class OwnResource:
    """How budgets on a resource of your own are written, and what answers for it.

    Attributes:
        units: what may stand behind an amount, and how much of the resource's unit that is; the unit itself comes
            first: `{"mJ": 1.0, "uJ": 1e-3}`. An empty text is a plain number.
        make: (starting network as it ships, its widths) -> the resource, whose answers are in that unit.
    """

    units: Units
    make: Callable[[DeployedNetwork, Widths], Resource]


def check_own(resources: Mapping[str, OwnResource]) -> None:
    """Sees that budgets can name these resources.

    Raises:
        UserError: a name that is taken or that budgets cannot hold, or units without a first one of 1.
    """
    for name, resource in resources.items():
        if not _NAME.fullmatch(name) or name in RESOURCES:
            raise UserError(
                f"resource {name!r}: a name of letters, digits and _ is needed, and none of {', '.join(RESOURCES)}"
            )
        if not resource.units or next(iter(resource.units.values())) != 1 or min(resource.units.values()) <= 0:
            raise UserError(f"resource {name!r}: units should begin with the resource's own, of 1; all are above 0")
        if not all(map(_UNIT.fullmatch, resource.units)):
            raise UserError(f"resource {name!r}: the names of units should be letters; they are {[*resource.units]}")
