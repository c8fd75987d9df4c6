"""The networks that benchmarks measure: no training, and no two layers with constants in common."""

from netadapt_tf.networks.by_name import NamedNetwork
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.training.calibration import noise
from tflite_bench.binary import quiet_native_code
from tflite_bench.convert import convert

_CLASSES = 1000


def converted(named: NamedNetwork, widths: Widths, resolution: int, precision: str = "float32") -> DeployedNetwork:
    """A network by name with random weights and 1000 classes, converted."""
    with quiet_native_code():
        network = named.build(widths, resolution, _CLASSES)
    randomise(network)
    return DeployedNetwork(convert(network, precision, noise(network)), find_channels(network).groups)
