"""The starting network in all its forms, what it costs, and how little its narrowest version would."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import ChannelGroup, Widths, find_channel_groups, widths_of
from netadapt_tf.networks.narrowing import parameter_count
from netadapt_tf.resources.budget import Budget, amount_text, least_budget
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.resources.resource import Measurement, Resource
from netadapt_tf.search.filter_counts import candidate_filters
from tflite_bench.errors import UserError
from tflite_bench.locking import cache_folder
from tflite_bench.target import Target, parse_target
from tflite_bench.timing import Meter

_DEFAULT_TARGET = "host/cpu:1"


@dataclass(frozen=True)
class Start:
    """The starting network.

    Attributes:
        network: as Keras has it.
        groups: its channel groups, locked ones included.
        tflite: as it ships.
        deployed: answers for the `.tflite` at any widths.
    """

    network: tf_keras.Model
    groups: tuple[ChannelGroup, ...]
    tflite: bytes
    deployed: DeployedNetwork

    @property
    def widths(self) -> Widths:
        """Filters of the groups that can shrink."""
        return widths_of(self.groups)

    def narrowest(self, filter_multiple: int) -> Widths:
        """Every group at the fewest filters that a search may leave it."""
        return {
            name: next(iter(candidate_filters(filters, filters, filter_multiple)), filters)
            for name, filters in self.widths.items()
        }


@dataclass(frozen=True)
class Costs:
    """What the budget is about, and latency, which every summary shows."""

    budgeted: Resource
    latency: Latency
    fingerprint: Mapping[str, str | int]


def shrinkable_groups(network: tf_keras.Model) -> tuple[ChannelGroup, ...]:
    """The channel groups; says which are locked.

    Raises:
        UserError: none can shrink.
    """
    groups = find_channel_groups(network)
    locks = [f"{group.name} keeps its {group.filters} filters: {group.lock}" for group in groups if group.lock]
    if not widths_of(groups):
        raise UserError(f"{network.name} has no channel group that can shrink. {'; '.join(locks) or 'No filters'}.")
    for lock in locks:
        logging.info("%s.", lock)
    return groups


def start_of(network: tf_keras.Model, groups: tuple[ChannelGroup, ...], tflite: bytes) -> Start:
    """The starting network from its two forms."""
    return Start(network, groups, tflite, DeployedNetwork(tflite, groups))


def target_of(budget: Budget) -> Target:
    """Where latency is measured: the budget's target, or one thread here when the budget has none."""
    return budget.target or parse_target(_DEFAULT_TARGET)


def default_table() -> Path:
    """The latency table in the user's cache folder."""
    return cache_folder() / "latency_table.sqlite"


def costs_of(start: Start, budget: Budget, meter: Meter, table: Path) -> Costs:
    """The resources of a starting network.

    Args:
        start: the network.
        budget: what must be met.
        meter: measures on the budget's target.
        table: file of the latency table.
    """
    latency = Latency(start.deployed, start.widths, target_of(budget), meter, table)
    metadata = len(start.tflite) - len(start.deployed.resized(start.widths))  # what the converter adds
    by_name: dict[str, Resource] = {
        "latency": latency,
        "macs": Counted("MACs", start.deployed.macs, start.widths),
        "parameters": Counted("parameters", lambda w: parameter_count(start.network, start.groups, w), start.widths),
        "tflite_bytes": Counted("bytes", lambda w: len(start.deployed.resized(w)) + metadata, start.widths),
    }
    return Costs(by_name[budget.resource], latency, meter.fingerprint())


def is_reachable(limit: float, least: Measurement) -> bool:
    """Whether a limit can be met as far as the narrowest network's measurement tells.

    Args:
        limit: what is allowed, in the resource's unit.
        least: the narrowest network, measured.
    """
    return least.value - least.spread <= limit


def check_reachable(budget: Budget, unit: str, least: Measurement) -> None:
    """Sees that the narrowest network is within budget.

    Args:
        budget: what must be met.
        unit: of the amounts in `least`.
        least: the narrowest network, measured.

    Raises:
        UserError: it is not; the message suggests the least budget that can be reached.
    """
    limit = budget.limit(least.start)
    if is_reachable(limit, least):
        return
    suggested = least_budget(budget, least.start, least.value + least.spread)
    raise UserError(
        f"budget {budget.text} cannot be reached: it allows {amount_text(limit, unit)}, and with every channel group "
        f"at its fewest filters the network still costs {amount_text(least.value, unit)}, "
        f"{least.value / least.start:.1%} of what it costs now; "
        + (f"ask for {suggested} or more" if suggested else "no percentage can be reached")
    )
