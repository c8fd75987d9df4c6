"""What every resource answers: what a network of given widths would cost, and what it does cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from netadapt_tf.networks.channel_groups import Widths


@dataclass(frozen=True)
class Measurement:
    """A network against the starting network, in the resource's unit.

    Attributes:
        start: what the starting network cost in the same measurement.
        value: what the network cost.
        spread: by how much `value` may be off; 0 for what is counted.
    """

    start: float
    value: float
    spread: float = 0.0

    @property
    def at_most(self) -> float:
        """What the network costs beyond doubt."""
        return self.value + self.spread


class Resource(Protocol):
    """Latency on a target, or something that can be counted."""

    unit: str

    def prepare(self, candidates: Iterable[Widths]) -> None:
        """Makes `predict` answer for these widths; measures what is not known yet."""

    def predict(self, widths: Widths) -> float:
        """What a network of these widths would cost, from tables and arithmetic."""

    def measure(self, widths: Widths) -> Measurement:
        """What it costs."""
