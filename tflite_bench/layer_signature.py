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

from tflite_bench.graph import Graph, Shape
from tflite_bench.shape_rules import SHAPE_OPERANDS
from tflite_bench.sizing import SizedOperator

_ENUMERATIONS = {"padding": schema.Padding, "fused_activation_function": schema.ActivationFunctionType}
_INTEGERS = (schema.TensorType.INT32, schema.TensorType.INT64)
_MAX_VALUES = 16
_MASKS = {1: "beginMask", 2: "endMask"}
"""By the position of a STRIDED_SLICE's operand."""


def layer_signature(graph: Graph, layer: SizedOperator) -> str:
    """The layer's signature: operator, number types, shapes, options, and small integer constants (axes, paddings).

    Layers that are joined have one signature, that of each part between ` + `.
    """
    return " + ".join(_signature(graph, part) for part in layer.parts)


def _signature(graph: Graph, layer: SizedOperator) -> str:
    operator = layer.operator
    operands = [_operand(graph, layer, position) for position, index in enumerate(layer.operator.inputs) if index >= 0]
    results = [
        f"{graph.type_name(index)}{_text(shape)}"
        for index, shape in zip(operator.outputs, layer.output_shapes, strict=True)
    ]
    return " ".join([operator.kind, *operands, "->", *results, *sorted(_options(graph, layer))])


def _operand(graph: Graph, layer: SizedOperator, position: int) -> str:
    operator, shape = layer.operator, layer.input_shapes[position]
    index = operator.inputs[position]
    if not graph.is_constant(index):
        return f"{graph.type_name(index)}{_text(shape)}"
    is_integer = graph.tensor(index).type in _INTEGERS and not graph.is_scaled(index)
    if is_integer and math.prod(graph.shape(index)) <= _MAX_VALUES:
        return f"{graph.type_name(index)}*{_text(graph.shape(index))}{_values(graph, layer, position)}"
    return f"{graph.stored_type(operator, position, shape)}*{_text(shape)}"


def _values(graph: Graph, layer: SizedOperator, position: int) -> str:
    constant = graph.constant(layer.operator.inputs[position])
    if constant is None or SHAPE_OPERANDS.get(layer.operator.kind) == position:
        return ""
    values = constant.ravel().tolist()
    if layer.operator.kind == "STRIDED_SLICE" and position in _MASKS:  # what is masked means nothing
        mask = getattr(graph.schema_operator(layer.operator).builtinOptions, _MASKS[position])
        values = [0 if mask >> axis & 1 else value for axis, value in enumerate(values)]
    return "{" + ",".join(map(str, values)) + "}"


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
        if (
            name == "asymmetric_quantize_inputs"
            and graph.stored_type(layer.operator, 1, layer.input_shapes[1]) != "int8"
        ):
            continue
        yield f"{name}={value}"


def _text(shape: Shape) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
