"""Resources that are counted, not measured: MACs, parameters, bytes, or your own. Prediction and truth are one."""

from collections.abc import Callable, Iterable

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.resource import Measurement


class Counted:
    """A resource that a pure function of the widths gives exactly."""

    def __init__(self, unit: str, count: Callable[[Widths], float], start: Widths) -> None:
        """Counts the starting network.

        Args:
            unit: for messages and reports.
            count: the cost of a network of given widths.
            start: widths of the starting network.
        """
        self.unit = unit
        self._count = count
        self._start = float(count(start))

    def prepare(self, candidates: Iterable[Widths]) -> None:
        """Nothing is needed."""

    def predict(self, widths: Widths) -> float:
        """The count."""
        return float(self._count(widths))

    def measure(self, widths: Widths) -> Measurement:
        """The count, beside the starting network's."""
        return Measurement(self._start, self.predict(widths))

    def verdict(self, start: bytes, adapted: bytes, widths: Widths) -> Measurement:
        """The same: files have nothing to add."""
        return self.measure(widths)
