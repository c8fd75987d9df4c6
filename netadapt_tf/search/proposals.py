"""What each channel group proposes to an iteration: how many filters it gives up, and which (NetAdapt, Algorithm 1)."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tf_keras

from netadapt_tf.networks.channel_groups import ChannelGroup, Widths, widths_of
from netadapt_tf.resources.resource import Resource
from netadapt_tf.search.filter_choice import l2_norms, strongest
from netadapt_tf.search.filter_counts import candidate_filters, largest_that_meets
from tflite_bench.errors import UserError

_LEAST_SAVING = 0.01


@dataclass(frozen=True)
class Proposal:
    """The network with one channel group shrunk.

    Attributes:
        group: the channel group.
        filters: how many filters it keeps.
        kept: which, ascending.
        cost: what the network is predicted to cost, in the budget's resource.
    """

    group: str
    filters: int
    kept: np.ndarray
    cost: float


@dataclass(frozen=True)
class Round:
    """The proposals of one iteration.

    Attributes:
        proposals: in the order of the groups.
        meets_constraint: whether they do; if not, each is its group's largest cut.
    """

    proposals: tuple[Proposal, ...]
    meets_constraint: bool


def propose(
    network: tf_keras.Model,
    groups: Sequence[ChannelGroup],
    start_widths: Widths,
    start_cost: float,
    cost: float,
    resource: Resource,
    constraint: float,
    filter_multiple: int,
) -> Round:
    """Shrinks every group alone, just enough to meet the constraint.

    Where no group can, each offers its largest cut, and cuts that save under 1 % of the starting
    network's cost are dropped.

    Args:
        network: where the iteration starts.
        groups: its channel groups.
        start_widths: widths of the starting network, which fix the candidates.
        start_cost: what the starting network costs.
        cost: what `network` was measured to cost; its ratio to the prediction corrects all predictions.
        resource: what the budget is about.
        constraint: what the network may cost after this iteration.
        filter_multiple: see `candidate_filters`.

    Raises:
        UserError: a layer of `network` cannot be measured.
    """
    widths = widths_of(groups)
    candidates = {
        name: candidate_filters(start_widths[name], filters, filter_multiple) for name, filters in widths.items()
    }
    resource.prepare(widths | {name: filters} for name in widths for filters in candidates[name])
    predicted = resource.predict(widths)
    if not math.isfinite(predicted):
        raise UserError("a layer of the network itself cannot be measured; the warnings above name it")
    correction = cost / predicted
    costs = {
        name: [correction * resource.predict(widths | {name: filters}) for filters in candidates[name]]
        for name in widths
    }
    chosen = {name: largest_that_meets(candidates[name], costs[name], constraint) for name in widths}
    meets_constraint = any(filters is not None for filters in chosen.values())
    if not meets_constraint:
        chosen = {
            name: candidates[name][0]
            for name in widths
            if candidates[name] and cost - costs[name][0] >= _LEAST_SAVING * start_cost
        }
    writers = {group.name: group.writers for group in groups}
    return Round(
        tuple(
            Proposal(
                group=name,
                filters=filters,
                kept=strongest(l2_norms([network.get_layer(w).get_weights()[0] for w in writers[name]]), filters),
                cost=costs[name][candidates[name].index(filters)],
            )
            for name, filters in chosen.items()
            if filters is not None
        ),
        meets_constraint,
    )


def proposal_seed(run_seed: int, iteration: int, group: str) -> int:
    """The seed of a proposal's short-term fine-tune: its own, whoever runs it and when."""
    digest = hashlib.sha256(f"{run_seed}/{iteration}/{group}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
