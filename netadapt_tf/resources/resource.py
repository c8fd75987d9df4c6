"""What every resource answers: what a network of given widths would cost, and what it does cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from netadapt_tf.networks.channel_groups import Widths
from tflite_bench.sizing import SizedOperator


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

    def verdict(self, start: bytes, adapted: bytes, widths: Widths) -> Measurement:
        """What two delivered networks cost.

        Args:
            start: the starting network's `.tflite`.
            adapted: the adapted network's.
            widths: of the adapted network.
        """


class LatencyResource(Resource, Protocol):
    """Latency on a target, wherever its milliseconds come from."""

    @property
    def fingerprint(self) -> Mapping[str, str | int]:
        """Of the device."""

    @property
    def delegated(self) -> bool:
        """Whether a delegate takes networks whole, so that sums of layers need to be checked against measurements."""

    def by_layer(self, widths: Widths) -> Sequence[tuple[SizedOperator, float]]:
        """Every layer and its latency in milliseconds, in order of execution; infinite where the table lacks it.

        Nothing is measured for it: `prepare` comes before.
        """

    def call_ms(self) -> float:
        """What one run costs besides its layers, in milliseconds."""
