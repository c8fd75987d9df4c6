"""Models made by editing the flatbuffer, without the converter: one layer alone, or the network at other widths.

A cut takes milliseconds where a conversion takes seconds, which is what makes measured tables
affordable (layout: `tensorflow/lite/schema/schema.fbs`; read and written by its generated object API).
"""

import copy
from collections import Counter
from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_bench.graph import Graph, Shape
from tflite_bench.shape_rules import SHAPE_OPERANDS
from tflite_bench.sizing import SizedOperator

_SCHEMA_VERSION = 3
_DATA_ALIGNMENT = 16  # schema.fbs: Buffer.data is force_align: 16


def one_layer_model(graph: Graph, layer: SizedOperator, instances: int = 1) -> bytes:
    """A `.tflite` that runs one layer, its constants inside, its activations as input and output.

    Args:
        graph: the network that the layer is cut from.
        layer: the layer, at any number of channels; with what is joined to it.
        instances: how many times over the layer stands in the model, side by side. All read the same input; each has
            outputs of its own, all of them the model's, lest the runtime leave one out. The file holds the constants
            once; a runtime that packs weights packs them for each instance.
    """
    builder = _ModelBuilder(graph)
    outputs: list[int] = []
    for _ in range(instances):
        for part in layer.parts:
            results = builder.add_operator(part)
        outputs += results
    return builder.pack(outputs)


def resized_model(graph: Graph, layers: Sequence[SizedOperator]) -> bytes:
    """The whole network at other widths: same operators, new shapes.

    Kept channels are the first ones, and new ones repeat them: the file is for timing, not for use.

    Args:
        graph: the network at its own widths.
        layers: all its layers, as `sizing.sized` gives them.
    """
    builder = _ModelBuilder(graph)
    for index in graph.inputs:
        builder.add_input(index, graph.shape(index))
    for layer in layers:
        builder.add_operator(layer)
    return builder.pack([builder.tensor(index) for index in graph.outputs])


class _AlignedBuffer(schema.BufferT):
    """Data at 16 bytes, as the schema demands and the generated writer forgets."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 - the generated reader's name
        data = b"" if self.data is None else bytes(self.data)
        if data:
            builder.StartVector(1, len(data), _DATA_ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            offset = builder.EndVector()
        schema.BufferStart(builder)
        if data:
            schema.BufferAddData(builder, offset)
        return schema.BufferEnd(builder)


class _ModelBuilder:
    """Collects tensors and operators of a new model, taken from `graph` at new shapes."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._subgraph = schema.SubGraphT()
        self._subgraph.tensors, self._subgraph.operators, self._subgraph.inputs = [], [], []
        self._buffers = [_AlignedBuffer()]  # by convention the first is empty
        self._codes: list[schema.OperatorCodeT] = []
        self._names: Counter[bytes] = Counter()
        self._computed: dict[int, int] = {}  # tensor of the graph -> tensor here
        self._constants: dict[tuple[int, Shape, str, bool], int] = {}  # what is made of a tensor -> tensor here

    def add_input(self, index: int, shape: Shape) -> int:
        """An input of the new model."""
        self._computed[index] = self._add_tensor(index, shape, None)
        self._subgraph.inputs.append(self._computed[index])
        return self._computed[index]

    def add_operator(self, layer: SizedOperator) -> list[int]:
        """Appends a layer, with its constants; what nothing before it computes becomes an input of the model.

        Returns:
            Its outputs, as tensors of the new model.
        """
        original = self._graph.schema_operator(layer.operator)
        operator = copy.copy(original)
        operator.opcodeIndex = self._code(self._graph.model.operatorCodes[original.opcodeIndex])
        operator.inputs = [
            self._operand(layer, position) if index >= 0 else -1 for position, index in enumerate(layer.operator.inputs)
        ]
        operator.outputs = []
        operator.intermediates = None
        for index, shape in zip(layer.operator.outputs, layer.output_shapes, strict=True):
            self._computed[index] = self._add_tensor(index, shape, None)
            operator.outputs.append(self._computed[index])
        if layer.operator.kind == "FULLY_CONNECTED" and operator.builtinOptions.asymmetricQuantizeInputs:
            operator.builtinOptions = copy.copy(operator.builtinOptions)
            stored_type = self._graph.stored_type(layer.operator, 1, layer.input_shapes[1])
            operator.builtinOptions.asymmetricQuantizeInputs = stored_type == "int8"
        if layer.operator.kind == "RESHAPE":
            operator.builtinOptions = None  # the new shape stands in the second operand
            operator.builtinOptionsType = schema.BuiltinOptions.NONE
        if layer.operator.kind in SHAPE_OPERANDS:
            position = SHAPE_OPERANDS[layer.operator.kind]
            operator.inputs[position] = self._add_shape_constant(
                layer.operator.inputs[position], layer.output_shapes[0]
            )
        self._subgraph.operators.append(operator)
        return operator.outputs

    def tensor(self, index: int) -> int:
        """The new model's tensor for one that the graph computes."""
        return self._computed[index]

    def pack(self, outputs: Sequence[int]) -> bytes:
        """The finished file; `outputs` are tensors of the new model."""
        model = schema.ModelT()
        model.version = _SCHEMA_VERSION
        self._subgraph.outputs = list(outputs)
        model.subgraphs = [self._subgraph]
        model.operatorCodes = self._codes
        model.buffers = self._buffers
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _operand(self, layer: SizedOperator, position: int) -> int:
        index, shape = layer.operator.inputs[position], layer.input_shapes[position]
        if index in self._computed:
            return self._computed[index]
        constant = self._graph.constant(index)
        if constant is None:
            return self.add_input(index, shape)
        stored_type = self._graph.stored_type(layer.operator, position, shape)
        dequantizer = self._graph.dequantizer(layer.operator, position)
        key = index, shape, stored_type, dequantizer is None
        if key not in self._constants:
            stored = self._add_tensor(index, shape, constant.astype(stored_type))
            if dequantizer is not None and stored_type == self._graph.type_name(index):
                stored = self._add_dequantizer(dequantizer, stored, shape)
            self._constants[key] = stored
        return self._constants[key]

    def _add_dequantizer(self, original: schema.OperatorT, stored: int, shape: Shape) -> int:
        """Appends what unpacks a constant; returns what it unpacks it to."""
        operator = copy.copy(original)
        operator.opcodeIndex = self._code(self._graph.model.operatorCodes[original.opcodeIndex])
        operator.inputs, operator.outputs = [stored], [self._add_tensor(int(original.outputs[0]), shape, None)]
        self._subgraph.operators.append(operator)
        return operator.outputs[0]

    def _add_tensor(self, index: int, shape: Shape, constant: np.ndarray | None) -> int:
        tensor = copy.copy(self._graph.tensor(index))
        tensor.shape = list(shape)
        tensor.shapeSignature = None
        tensor.name = self._own_name(tensor.name)
        tensor.buffer = 0
        tensor.quantization = _resized_scales(tensor.quantization, self._graph.shape(index), shape)
        if constant is not None:
            if constant.dtype == np.float32:  # perhaps not as the graph stores it
                tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
            tensor.buffer = len(self._buffers)
            self._buffers.append(_AlignedBuffer(data=_resized(constant, shape).tobytes()))
        self._subgraph.tensors.append(tensor)
        return len(self._subgraph.tensors) - 1

    def _own_name(self, name: bytes) -> bytes:
        """The name, or where it is taken one like it: GPU accelerators find outputs by their names."""
        self._names[name] += 1
        return name if self._names[name] == 1 else b"%s#%d" % (name, self._names[name])

    def _add_shape_constant(self, index: int, shape: Shape) -> int:
        return self._add_tensor(index, (len(shape),), np.asarray(shape, self._graph.type_name(index)))

    def _code(self, code: schema.OperatorCodeT) -> int:
        if code not in self._codes:
            self._codes.append(code)
        return self._codes.index(code)


def _resized(constant: np.ndarray, shape: Shape) -> np.ndarray:
    """The first values along each axis; where more are asked for, they come round again."""
    if constant.shape == tuple(shape):
        return constant
    return constant[np.ix_(*(np.arange(new) % old for new, old in zip(shape, constant.shape, strict=True)))]


def _resized_scales(
    quantization: schema.QuantizationParametersT | None, own: Shape, new: Shape
) -> schema.QuantizationParametersT | None:
    """Scales and zero points of a tensor at another shape: where each channel has its own, they follow its channels."""
    if quantization is None or quantization.scale is None or len(quantization.scale) <= 1:
        return quantization
    channels = np.arange(new[quantization.quantizedDimension]) % own[quantization.quantizedDimension]
    result = copy.copy(quantization)
    for name in ("scale", "zeroPoint", "min", "max"):
        values = getattr(quantization, name)
        if values is not None and len(values) > 1:
            setattr(result, name, np.asarray(values)[channels])
    return result
