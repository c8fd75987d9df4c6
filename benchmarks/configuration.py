"""Which starting networks the table's accuracy is measured of, and how rows name them."""

import re
from dataclasses import dataclass

from netadapt_tf.networks.by_name import NETWORKS, NamedNetwork
from tflite_bench.precision import PRECISIONS

UNNAMED = "mobilenet_v1"
"""The network of configurations that name none: there was no other when their rows were measured."""

PLAIN = "float32"
"""The precision of configurations that name none, likewise."""

_NUMBER = re.compile(r"[0-9.]+")


@dataclass(frozen=True)
class Configuration:
    """A starting network.

    Attributes:
        network: which one that can be built by name.
        alpha: its width multiplier.
        resolution: height and width of its input, in pixels.
        precision: of the numbers that it is converted to.
    """

    network: str
    alpha: float
    resolution: int
    precision: str = PLAIN

    def __str__(self) -> str:
        """For example `0.25, 64 px`, of MobileNetV1 in float32, or `mobilenet_v2 0.35, 64 px, int8`."""
        name = "" if self.network == UNNAMED else f"{self.network} "
        precision = "" if self.precision == PLAIN else f", {self.precision}"
        return f"{name}{self.alpha:g}, {self.resolution} px{precision}"

    @property
    def named(self) -> NamedNetwork:
        """What builds it."""
        return NETWORKS[self.network]


def network_of(configuration: str) -> str:
    """The network that a configuration is of."""
    name, separator, _ = configuration.partition(" ")
    return name if separator and name in NETWORKS else UNNAMED


def precision_of(configuration: str) -> str:
    """The precision that a configuration is of."""
    precision = configuration.rpartition(", ")[2]
    return precision if precision in PRECISIONS else PLAIN


def order(configuration: str) -> tuple[int, list[float]]:
    """Sorts configurations of one precision by network, width multiplier and resolution."""
    network = network_of(configuration)
    numbers = _NUMBER.findall(configuration.removeprefix(network))[:2]
    return list(NETWORKS).index(network), [float(text) for text in numbers]
