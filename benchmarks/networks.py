"""The networks that benchmarks measure: no training, and no two layers with constants in common."""

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from tflite_bench.binary import quiet_native_code
from tflite_bench.convert import convert

_CLASSES = 1000


def converted_mobilenet_v1(widths: Widths, resolution: int) -> DeployedNetwork:
    """MobileNetV1 with random weights and 1000 classes, converted."""
    with quiet_native_code():
        network = mobilenet_v1(widths, resolution, _CLASSES)
    randomise(network)
    return DeployedNetwork(convert(network), find_channels(network).groups)
