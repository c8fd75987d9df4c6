"""A resource of one's own: the energy of an inference, counted over the layers of the network as it ships.

    adapt_network(network, datasets, ["energy=60%"], "runs/energy", resources={"energy": ENERGY})

A count, not a measurement: every multiply-accumulate costs something, every weight is read from memory once, and every
activation is written and read through a cache. The picojoules are those of a 45 nm process (Horowitz, ISSCC 2014, as
Han et al., NeurIPS 2015, table 1, quote them for 32 bits); your chip has others.
"""

import itertools

from netadapt_tf import OwnResource
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.deployed import DeployedNetwork

_MAC_PJ = 3.7 + 0.9
_WEIGHT_PJ = 640.0
_ACTIVATION_PJ = 5.0
_BYTES_OF_A_NUMBER = 4


def energy_uj(network: DeployedNetwork, widths: Widths) -> float:
    """The energy of one inference, in microjoules.

    Args:
        network: the starting network as it ships, float32.
        widths: of the network in question.
    """
    graph, energy_pj = network.graph, 0.0
    for layer in network.layers(widths):
        energy_pj += _MAC_PJ * layer.macs
        tensors = itertools.chain(
            zip(layer.operator.inputs, layer.input_shapes, strict=True),
            zip(layer.operator.outputs, layer.output_shapes, strict=True),
        )
        for index, shape in tensors:
            if index >= 0:  # -1 stands for an input that is left out
                number_pj = _WEIGHT_PJ if graph.is_constant(index) else _ACTIVATION_PJ
                energy_pj += number_pj * graph.bytes_of(index, shape) / _BYTES_OF_A_NUMBER
    return energy_pj / 1e6


ENERGY = OwnResource(
    units={"uJ": 1.0, "mJ": 1e3},
    make=lambda network, start: Counted("uJ", lambda widths: energy_uj(network, widths), start),
)
"""For budgets such as `energy=60%` and `energy=0.2mJ`."""
