"""Which starting networks the table's accuracy is measured of, and how rows name them."""

import re
from dataclasses import dataclass

from netadapt_tf.networks.by_name import NETWORKS, NamedNetwork

UNNAMED = "mobilenet_v1"
"""The network of configurations that name none: there was no other when their rows were measured."""

_NUMBER = re.compile(r"[0-9.]+")


@dataclass(frozen=True)
class Configuration:
    """A starting network.

    Attributes:
        network: which one that can be built by name.
        alpha: its width multiplier.
        resolution: height and width of its input, in pixels.
    """

    network: str
    alpha: float
    resolution: int

    def __str__(self) -> str:
        """For example `0.25, 64 px`, of MobileNetV1, or `mobilenet_v2 0.35, 64 px`."""
        name = "" if self.network == UNNAMED else f"{self.network} "
        return f"{name}{self.alpha:g}, {self.resolution} px"

    @property
    def named(self) -> NamedNetwork:
        """What builds it."""
        return NETWORKS[self.network]


def network_of(configuration: str) -> str:
    """The network that a configuration is of."""
    name, separator, _ = configuration.partition(" ")
    return name if separator and name in NETWORKS else UNNAMED


def order(configuration: str) -> tuple[int, list[float]]:
    """Sorts configurations by network, width multiplier and resolution."""
    network = network_of(configuration)
    numbers = _NUMBER.findall(configuration.removeprefix(network))
    return list(NETWORKS).index(network), [float(text) for text in numbers]
