"""Layers that a delegate may run in one: a convolution with its padding before it, and what is done to its result.

A GPU's delegate fuses operators, so that what each takes alone says little of what they take together. Whether it fuses
these does not matter here: they are measured together, and take what they take (LiteRT: `ml_drift`, its
transformations on padding and its linked element-wise operations).
"""

from collections import Counter
from collections.abc import Sequence

from tflite_bench.graph import Graph
from tflite_bench.shape_rules import WRITERS
from tflite_bench.sizing import SizedOperator

JOINED = ", layers joined as a delegate may"
"""In `Context.caches`, behind how the caches are treated."""

_WITH_WEIGHTS = (*WRITERS, "DEPTHWISE_CONV_2D")
_PADDINGS = ("PAD", "PADV2")
_PADDED = ("CONV_2D", "DEPTHWISE_CONV_2D")
_ELEMENTWISE = (
    *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "PRELU", "ELU", "GELU"),
    *("LOGISTIC", "TANH", "HARD_SWISH"),
)
_ARITHMETIC = ("ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM")


def joined(graph: Graph, layers: Sequence[SizedOperator]) -> list[SizedOperator]:
    """The layers, those together that a delegate may run in one.

    Args:
        graph: the network at its own widths.
        layers: all its layers, as `sizing.sized` gives them; at any widths the same are joined.

    Returns:
        In order of execution; every operator is in one of them.
    """
    readers = Counter(index for layer in layers for index in layer.operator.inputs)
    readers.update(graph.outputs)
    chains: list[list[SizedOperator]] = []
    chain_of: dict[int, list[SizedOperator]] = {}  # by the tensor that it ends with
    written_at: dict[int, int] = {}  # by tensor
    for layer in layers:
        computed = [index for index in layer.operator.inputs if index in written_at]
        latest = max(computed, key=lambda index: written_at[index], default=-1)
        chain = chain_of.get(latest)
        if chain is not None and readers[latest] == 1 and _joins(graph, chain, layer, latest):
            chain.append(layer)
        else:
            chain = [layer]
            chains.append(chain)
        for index in layer.operator.outputs:
            chain_of[index] = chain
            written_at[index] = len(written_at)
    return [SizedOperator(c[0].operator, c[0].input_shapes, c[0].output_shapes, tuple(c[1:])) for c in chains]


def _joins(graph: Graph, chain: Sequence[SizedOperator], layer: SizedOperator, tensor: int) -> bool:
    """Whether a layer may be run in one with a chain whose last result, `tensor`, it alone reads."""
    kind, reads_first = layer.operator.kind, layer.operator.inputs[0] == tensor
    if not any(one.operator.kind in _WITH_WEIGHTS for one in chain):
        return reads_first and chain[-1].operator.kind in _PADDINGS and kind in _PADDED
    if kind in _ARITHMETIC:
        operands = zip(layer.operator.inputs, layer.input_shapes, strict=True)
        return len({shape for index, shape in operands if not graph.is_constant(index)}) == 1
    return reads_first and kind in _ELEMENTWISE
