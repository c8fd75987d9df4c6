"""What an iteration leaves behind: a network, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tf_keras

from netadapt_tf.networks.channel_groups import Channels
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.run_directory import RunDirectory


@dataclass(frozen=True)
class Iterate:
    """The network after an iteration; the start is iteration 0.

    Attributes:
        iteration: its number.
        network: the network, fine-tuned as far as the search does.
        channels: of the network, under the names that they have in the start.
        accuracy: the task's metric on the hold-out set.
        costs: by goal; measured, on the scale of the search's first measurement.
    """

    iteration: int
    network: tf_keras.Model
    channels: Channels
    accuracy: float
    costs: Mapping[str, Measurement]


def relative_to(start_cost: float, measured: Measurement) -> Measurement:
    """A measurement on the scale of the search's first one: only its ratio to the starting network counts."""
    scale = start_cost / measured.start
    return Measurement(start_cost, measured.value * scale, measured.spread * scale)


def recorded_costs(start_costs: Mapping[str, float], record: Mapping[str, Any]) -> dict[str, Measurement]:
    """What an iteration's network was measured to cost, by budget.

    Args:
        start_costs: what the starting network costs.
        record: the journal's, of the iteration.
    """
    return {
        name: Measurement(cost, record["measured"][name], record["spread"][name]) for name, cost in start_costs.items()
    }


def recorded(
    run: RunDirectory, record: Mapping[str, Any], channels: Channels, start_costs: Mapping[str, float]
) -> Iterate:
    """An iteration as it was kept.

    Args:
        run: where.
        record: the journal's, of the iteration.
        channels: of the starting network.
        start_costs: what that costs, by budget.
    """
    iteration = record["iteration"]
    return Iterate(
        iteration,
        run.load_iteration(iteration),
        channels.at(run.widths(iteration)),
        record["accuracy"],
        recorded_costs(start_costs, record),
    )
