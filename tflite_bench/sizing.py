"""The layers of a `.tflite` with the shapes that they have at other numbers of filters, on paper.

`sized` walks the operators once, front to back. Nothing is built: it is cheap enough to be asked thousands of times.
`shape_rules` knows what each operator does with shapes; `layer_models` turns the answer into files.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tflite_bench.errors import UnsupportedLayerError
from tflite_bench.graph import Graph, Operator
from tflite_bench.shape_rules import WRITERS, Resizing, Shape, resized

_MAC_KINDS = (*WRITERS, "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class SizedOperator:
    """An operator with the shapes it has at some choice of filters; shapes are of `operator.inputs` and `.outputs`.

    Attributes:
        operator: as it stands in the file.
        input_shapes: of what it reads.
        output_shapes: of what it writes.
        joined: operators after it that a delegate may run in one with it, in order of execution; see `joining`.
    """

    operator: Operator
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    joined: tuple["SizedOperator", ...] = ()

    @property
    def parts(self) -> tuple["SizedOperator", ...]:
        """The operator, and those that are joined to it, each by itself."""
        return (replace(self, joined=()), *self.joined) if self.joined else (self,)

    @property
    def result_shapes(self) -> tuple[Shape, ...]:
        """Of what the last of its parts writes."""
        return self.parts[-1].output_shapes

    @property
    def kinds(self) -> str:
        """TensorFlow Lite's names of its parts, for readers."""
        return " + ".join(part.operator.kind for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one run."""
        return sum(part._own_macs for part in self.parts)

    @property
    def _own_macs(self) -> int:
        if self.operator.kind not in _MAC_KINDS:
            return 0
        weights = self.input_shapes[1]
        if self.operator.kind == "TRANSPOSE_CONV":  # every number that it reads meets all weights of its channel
            return math.prod(self.input_shapes[2]) * math.prod(weights[:-1])
        if self.operator.kind == "DEPTHWISE_CONV_2D":  # [1, kh, kw, channels]
            return math.prod(self.output_shapes[0]) * weights[1] * weights[2]
        return math.prod(self.output_shapes[0]) * math.prod(weights[1:])  # [filters, (kh, kw,) channels]


def sized(graph: Graph, filters: Mapping[str, int]) -> list[SizedOperator]:
    """Shapes of every layer when the layers named in `filters` have that many filters.

    Args:
        graph: the network at its own widths.
        filters: number of filters by the Keras name of a convolution (of any kind but depthwise) or fully connected
            layer; a layer that is not named keeps its own. Layers whose results are added up need the same number.

    Raises:
        UnsupportedLayerError: a name that no layer bears, or a layer that cannot take the new shape.
    """
    wanted = _filters_by_operator(graph, filters)
    shapes = {index: graph.shape(index) for index in graph.inputs}
    result = []
    for operator in graph.operators:
        own_inputs = tuple(graph.shape(i) if i >= 0 else () for i in operator.inputs)
        inputs = tuple(shapes.get(i, own) for i, own in zip(operator.inputs, own_inputs, strict=True))
        outputs = tuple(graph.shape(i) for i in operator.outputs)
        own_filters = own_inputs[1][0] if operator.index in wanted else None
        if inputs != own_inputs or wanted.get(operator.index) != own_filters:
            inputs, output = resized(_resizing(graph, operator, inputs, wanted.get(operator.index)))
            outputs = (output,)
        shapes.update(zip(operator.outputs, outputs, strict=True))
        result.append(SizedOperator(operator, inputs, outputs))
    return result


def _filters_by_operator(graph: Graph, filters: Mapping[str, int]) -> dict[int, int]:
    unknown = sorted(name for name in filters if not graph.writers_named(name))
    if unknown:
        raise UnsupportedLayerError(f"the .tflite has no layer named {', '.join(unknown)}")
    wanted: dict[int, int] = {}
    for name, count in filters.items():
        for index in graph.writers_named(name):
            if wanted.setdefault(index, count) != count:
                raise UnsupportedLayerError(
                    f"{_described(graph, graph.operator(index))} would have both {wanted[index]} and {count} filters"
                )
    return wanted


def _resizing(graph: Graph, operator: Operator, inputs: tuple[Shape, ...], filters: int | None) -> Resizing:
    return Resizing(
        name=_described(graph, operator),
        kind=operator.kind,
        own_inputs=tuple(graph.shape(i) if i >= 0 else () for i in operator.inputs),
        inputs=inputs,
        own_output=graph.shape(operator.outputs[0]),
        filters=filters,
        options=graph.schema_operator(operator).builtinOptions,
        is_constant=tuple(i >= 0 and graph.is_constant(i) for i in operator.inputs),
        constant=lambda position: graph.constant(operator.inputs[position]),
    )


def _described(graph: Graph, operator: Operator) -> str:
    return f"layer {operator.index} ({operator.kind}, {graph.name(operator)})"
