"""What an iteration leaves behind: a network, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import tf_keras

from netadapt_tf.networks.channel_groups import Channels
from netadapt_tf.resources.resource import Measurement


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
