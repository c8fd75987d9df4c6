"""One layer as the runtime sees it, as a stable line of text: the key of the latency table.

    CONV_2D float32[1,32,32,8] float32*[16,1,1,8] float32*[16] -> float32[1,32,32,16]
        fused_activation_function=RELU6 padding=SAME stride_h=1 stride_w=1

(one line in truth; `*` marks constants; options at their neutral value are left out). Two layers
with the same signature take the same time, wherever they stand and whatever their weights are.
"""

import math
import re
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_bench.graph import Graph, Shape, SizedOperator
from tflite_bench.shape_rules import SHAPE_OPERANDS

_ENUMERATIONS = {"padding": schema.Padding, "fused_activation_function": schema.ActivationFunctionType}
_INTEGERS = (schema.TensorType.INT32, schema.TensorType.INT64)
_MAX_VALUES = 16


def layer_signature(graph: Graph, layer: SizedOperator) -> str:
    """The layer's signature: operator, number types, shapes, options, and small integer constants (axes, paddings)."""
    operator = layer.operator
    operands = [
        _operand(graph, index, shape, is_shape=SHAPE_OPERANDS.get(operator.kind) == position)
        for position, (index, shape) in enumerate(zip(operator.inputs, layer.input_shapes, strict=True))
        if index >= 0
    ]
    results = [
        f"{graph.type_name(index)}{_text(shape)}"
        for index, shape in zip(operator.outputs, layer.output_shapes, strict=True)
    ]
    return " ".join([operator.kind, *operands, "->", *results, *sorted(_options(graph, layer))])


def _operand(graph: Graph, index: int, shape: Shape, is_shape: bool) -> str:
    if not graph.is_constant(index):
        return f"{graph.type_name(index)}{_text(shape)}"
    if graph.tensor(index).type in _INTEGERS and math.prod(graph.shape(index)) <= _MAX_VALUES:
        constant = graph.constant(index)
        values = "" if is_shape or constant is None else "{" + ",".join(map(str, constant.ravel())) + "}"
        return f"{graph.type_name(index)}*{_text(graph.shape(index))}{values}"
    return f"{graph.type_name(index)}*{_text(shape)}"


def _options(graph: Graph, layer: SizedOperator) -> Iterator[str]:
    options = graph.schema_operator(layer.operator).builtinOptions
    if options is None or layer.operator.kind == "RESHAPE":  # its result's shape says it all
        return
    for attribute, value in vars(options).items():
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", attribute).lower()
        if isinstance(value, np.ndarray):
            value = value.tolist() or None
        if name in _ENUMERATIONS:
            value = next(text for text, number in vars(_ENUMERATIONS[name]).items() if number == value)
        if (name.startswith("dilation") and value == 1) or value in (0, None, False, "NONE"):
            continue
        yield f"{name}={value}"


def _text(shape: Shape) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
