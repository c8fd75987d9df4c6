"""The starting network in all its forms, what it costs, and how little its narrowest version would."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import tf_keras

from netadapt_tf.figures import amount, share
from netadapt_tf.networks.channel_groups import Channels, Widths
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.budget import COUNTED, Budget, least_budget
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.resources.own import OwnResource
from netadapt_tf.resources.resource import LatencyResource, Measurement, Resource
from netadapt_tf.resources.tabled_latency import TabledLatency
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.search.filter_scores import check_criterion
from netadapt_tf.wording import NAMED
from tflite_bench.errors import UserError
from tflite_bench.target import Target, parse_target
from tflite_bench.timing import Meter

_DEFAULT_TARGET = "host/cpu:1"


@dataclass(frozen=True)
class Start:
    """The starting network.

    Attributes:
        network: as Keras has it.
        channels: its channel groups, and where each one's channels lie.
        tflite: as it ships.
        deployed: answers for the `.tflite` at any widths.
    """

    network: tf_keras.Model
    channels: Channels
    tflite: bytes
    deployed: DeployedNetwork

    @property
    def widths(self) -> Widths:
        """Filters of the groups that can shrink."""
        return self.channels.widths

    @property
    def locks(self) -> Mapping[str, str]:
        """Of the groups that are locked, why."""
        return {group.name: group.lock for group in self.channels.groups if group.lock}

    def narrowest(self, filter_multiple: int) -> Widths:
        """Every group at the fewest filters that a search may leave it."""
        return {
            name: next(iter(candidate_filters(filters, filters, filter_multiple)), filters)
            for name, filters in self.widths.items()
        }


@dataclass(frozen=True)
class Costs:
    """What the budgets are about, and what every summary shows.

    Attributes:
        budgeted: the resource of each budget, by the budget's name.
        latency: on every target.
        counts: MACs, parameters and bytes, by the resources' names.
        own: of the caller's resources those that a budget names, by name.
    """

    budgeted: Mapping[str, Resource]
    latency: Mapping[Target, LatencyResource]
    counts: Mapping[str, Counted]
    own: Mapping[str, Resource] = field(default_factory=dict)

    def counted(self, widths: Widths) -> dict[str, int]:
        """MACs, parameters and bytes of a network of these widths."""
        return {name: int(count.predict(widths)) for name, count in self.counts.items()}


@dataclass(frozen=True)
class Reach:
    """A budget, and whether it can be met.

    Attributes:
        budget: as it was asked for.
        unit: of the amounts.
        now: what the starting network costs.
        allowed: what the budget allows.
        least: what the network costs with every channel group at its fewest filters.
        possible: whether the budget can be met, as far as that measurement tells.
        spread: by how much `least` may be off.
    """

    budget: Budget
    unit: str
    now: float
    allowed: float
    least: float
    possible: bool
    spread: float = 0.0

    @property
    def suggested(self) -> str | None:
        """The least budget like this one that can surely be met; None where no percentage can, or nothing is known."""
        return least_budget(self.budget, self.now, self.least + self.spread) if math.isfinite(self.least) else None


def start_of(network: tf_keras.Model, channels: Channels, tflite: bytes, criterion: str | None = None) -> Start:
    """The starting network from its two forms; groups that cannot shrink in the `.tflite` are locked.

    Args:
        network: as Keras has it.
        channels: its channels.
        tflite: as it ships.
        criterion: one of `filter_choice.CRITERIA`, if filters are to be chosen.

    Raises:
        UserError: nothing can shrink, or the criterion cannot score the filters of a group that can.
    """
    deployed = DeployedNetwork(tflite, channels.groups)
    start = Start(network, channels, tflite, deployed)
    if deployed.locks:
        start = replace(start, channels=find_channels(network, {**start.locks, **deployed.locks}))
    check_shrinkable(start.channels, network.name)
    if criterion is not None:
        check_criterion(criterion, network, start.channels)
    return start


def check_shrinkable(channels: Channels, name: str) -> None:
    """Sees that some channel group of a network can shrink.

    Raises:
        UserError: none can.
    """
    if not channels.widths:
        locks = [f"{group.name} keeps its {group.filters} filters: {group.lock}" for group in channels.groups]
        reasons = "; ".join(locks[:NAMED]) + (f"; and {len(locks) - NAMED} more" if len(locks) > NAMED else "")
        raise UserError(f"{name} has no channel group that can shrink. {reasons or 'No filters'}.")


def targets_of(budgets: Sequence[Budget]) -> tuple[Target, ...]:
    """Where latency is measured: the budgets' targets, or one thread here when none names a target."""
    return tuple(budget.target for budget in budgets if budget.target) or (parse_target(_DEFAULT_TARGET),)


def costs_of(
    start: Start,
    budgets: Sequence[Budget],
    meters: Mapping[Target, Meter | None],
    table: Path,
    resources: Mapping[str, OwnResource],
) -> Costs:
    """The resources of a starting network.

    Args:
        start: the network.
        budgets: what must be met.
        meters: one for each of `targets_of(budgets)`; None where the table alone is to tell.
        table: file of the latency table.
        resources: that the caller brings, by name.
    """
    latency: dict[Target, LatencyResource] = {
        target: Latency(start.deployed, start.widths, target, meter, table)
        if meter
        else TabledLatency(start.deployed, start.widths, target, table)
        for target, meter in meters.items()
    }
    metadata = len(start.tflite) - len(start.deployed.resized(start.widths))  # what the converter adds
    counts: dict[str, Callable[[Widths], float]] = {
        "macs": start.deployed.macs,
        "parameters": start.channels.parameters,
        "tflite_bytes": lambda widths: len(start.deployed.resized(widths)) + metadata,
    }
    counted = {name: Counted(COUNTED[name], count, start.widths) for name, count in counts.items()}
    own = {
        b.resource: resources[b.resource].make(start.deployed, start.widths) for b in budgets if b.resource in resources
    }
    return Costs(
        {b.name: latency[b.target] if b.target else {**counted, **own}[b.resource] for b in budgets},
        latency,
        counted,
        own,
    )


def reach(budget: Budget, unit: str, least: Measurement) -> Reach:
    """Whether a budget can be met.

    Args:
        budget: what must be met.
        unit: of the amounts in `least`.
        least: the narrowest network, measured.
    """
    allowed = budget.limit(least.start)
    possible = math.isfinite(least.value) and least.value - least.spread <= allowed
    return Reach(budget, unit, least.start, allowed, least.value, possible, least.spread)


def measured_reaches(costs: Costs, budgets: Sequence[Budget], narrowest: Widths) -> tuple[Reach, ...]:
    """Measures the narrowest network, and says of each budget whether it can be met."""
    resources = [(budget, costs.budgeted[budget.name]) for budget in budgets]
    return tuple(reach(budget, resource.unit, resource.measure(narrowest)) for budget, resource in resources)


def halfway(start: Widths, narrowest: Widths) -> Widths:
    """Every group at about the middle of what a search may leave it."""
    return {name: (filters + narrowest[name]) // 2 for name, filters in start.items()}


def check_reachable(reaches: Sequence[Reach]) -> None:
    """Sees that the narrowest network is within every budget.

    Raises:
        UserError: it is not; the message names every such budget, the least that can be reached instead, and what the
            others could reach.
    """
    refusals = [_refusal(reach) for reach in reaches if not reach.possible]
    if refusals:
        others = [
            f"budget {reach.budget.text} can be met: {amount(reach.least, reach.unit)} is the least"
            for reach in reaches
            if reach.possible
        ]
        raise UserError("; ".join([*refusals, *others]))


def _refusal(reach: Reach) -> str:
    if not math.isfinite(reach.least):
        return f"budget {reach.budget.text} cannot be judged: what the network would cost is not known"
    suggested = reach.suggested
    return (
        f"budget {reach.budget.text} cannot be reached: it allows {amount(reach.allowed, reach.unit)}, and with "
        f"every channel group at its fewest filters the network still costs {amount(reach.least, reach.unit)}, "
        f"{share(reach.least, reach.now)} of what it costs now; "
        + (f"ask for {suggested} or more" if suggested else "no percentage can be reached")
    )
