"""A `.tflite` as a list of layers whose channel counts can be changed on paper.

`sized` walks the operators once, front to back, and says which shapes every layer has when some
of them have other numbers of filters. Nothing is built: it is cheap enough to be asked thousands
of times. `layer_models` turns the answer into files.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_bench.errors import InvalidModelError, UnsupportedLayerError

Shape = tuple[int, ...]

_IDENTIFIER = b"TFL3"


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TYPE_NAMES = {value: name.lower() for value, name in _names(schema.TensorType).items()}

_PER_CHANNEL = (
    *("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "REDUCE_MAX", "PAD", "PADV2"),
    *("ELU", "GELU", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH"),
)
_ELEMENTWISE = ("ADD", "DIV", "MUL", "PRELU", "SUB")


@dataclass(frozen=True)
class Operator:
    """One layer as it stands in the file.

    Attributes:
        index: position in the file's order of execution.
        kind: TensorFlow Lite's name, for example `CONV_2D`.
        inputs: tensor indices; -1 where an optional input is left out.
        outputs: tensor indices.
        layer_names: every part of the paths in the names of its tensors; the Keras layer's name is one.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layer_names: frozenset[str]


@dataclass(frozen=True)
class SizedOperator:
    """An operator with the shapes it has at some choice of filters; shapes are of `operator.inputs` and `.outputs`."""

    operator: Operator
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one run."""
        if self.operator.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            return 0
        weights = self.input_shapes[1]
        if self.operator.kind == "DEPTHWISE_CONV_2D":  # [1, kh, kw, channels]
            return math.prod(self.output_shapes[0]) * weights[1] * weights[2]
        return math.prod(self.output_shapes[0]) * math.prod(weights[1:])  # [filters, (kh, kw,) channels]


class Graph:
    """A parsed `.tflite`; read only.

    Attributes:
        model: the flatbuffer's object form, as `ai_edge_litert.schema_py_generated` gives it.
        operators: the layers in order of execution.
    """

    def __init__(self, tflite: bytes) -> None:
        """Parses a model.

        Args:
            tflite: the bytes of a `.tflite` file.

        Raises:
            InvalidModelError: not a TensorFlow Lite model, or one with several subgraphs or batches.
        """
        if tflite[4:8] != _IDENTIFIER:
            raise InvalidModelError("this is no TensorFlow Lite model: its file identifier is not TFL3")
        try:
            self.model = schema.ModelT.InitFromPackedBuf(tflite, 0)
            self._subgraph = self.model.subgraphs[0]
            self.operators = tuple(self._operator(index) for index in range(len(self._subgraph.operators)))
        except Exception as error:  # a damaged file fails anywhere in the generated reader
            raise InvalidModelError(f"this TensorFlow Lite model is damaged: {error}") from error
        if len(self.model.subgraphs) != 1:
            raise InvalidModelError(f"a model of one subgraph is needed; this one has {len(self.model.subgraphs)}")

    @property
    def inputs(self) -> tuple[int, ...]:
        """Tensor indices of the network's inputs."""
        return tuple(int(index) for index in self._subgraph.inputs)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Tensor indices of the network's outputs."""
        return tuple(int(index) for index in self._subgraph.outputs)

    @functools.cached_property
    def constant_bytes(self) -> int:
        """Bytes of all constants, the weights above all."""
        buffers = {self._subgraph.tensors[i].buffer for op in self.operators for i in op.inputs if i >= 0}
        return sum(len(self.model.buffers[b].data) for b in buffers if self.model.buffers[b].data is not None)

    def tensor(self, index: int) -> schema.TensorT:
        """The flatbuffer's tensor, by index."""
        return self._subgraph.tensors[index]

    def schema_operator(self, operator: Operator) -> schema.OperatorT:
        """The flatbuffer's operator behind `operator`."""
        return self._subgraph.operators[operator.index]

    def shape(self, index: int) -> Shape:
        """A tensor's shape in the file."""
        shape = self.tensor(index).shape
        return () if shape is None else tuple(int(size) for size in shape)

    def type_name(self, index: int) -> str:
        """A tensor's number type, for example `float32`."""
        return TYPE_NAMES[self.tensor(index).type]

    def bytes_of(self, index: int, shape: Shape) -> int:
        """Bytes that a tensor takes at another shape."""
        return math.prod(shape) * np.dtype(self.type_name(index)).itemsize

    def is_constant(self, index: int) -> bool:
        """Whether a tensor is a constant; without a look at its values."""
        return self.model.buffers[self.tensor(index).buffer].data is not None

    def constant(self, index: int) -> np.ndarray | None:
        """A constant tensor's values, or None for a tensor that is computed."""
        data = self.model.buffers[self.tensor(index).buffer].data
        if data is None:
            return None
        return np.frombuffer(bytes(data), np.dtype(self.type_name(index))).reshape(self.shape(index))

    def _operator(self, index: int) -> Operator:
        raw = self._subgraph.operators[index]
        code = self.model.operatorCodes[raw.opcodeIndex]
        inputs = tuple(int(i) for i in raw.inputs)
        outputs = tuple(int(i) for i in raw.outputs)
        return Operator(
            index=index,
            kind=OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)],
            inputs=inputs,
            outputs=outputs,
            layer_names=frozenset(
                part
                for i in (*inputs[1:], *outputs)
                if i >= 0
                for path in self.tensor(i).name.decode(errors="replace").split(";")
                for part in path.split("/")
            ),
        )


def sized(graph: Graph, filters: Mapping[str, int]) -> list[SizedOperator]:
    """Shapes of every layer when the layers named in `filters` have that many filters.

    Args:
        graph: the network at its own widths.
        filters: number of filters by the Keras name of a convolution or fully connected layer;
            a layer that is not named keeps its own.

    Raises:
        UnsupportedLayerError: a name that no layer bears, or a layer that cannot take the new shape.
    """
    shapes = {index: graph.shape(index) for index in graph.inputs}
    unused = set(filters)
    result = []
    for operator in graph.operators:
        inputs = tuple(shapes.get(i, graph.shape(i)) if i >= 0 else () for i in operator.inputs)
        own_inputs = tuple(graph.shape(i) if i >= 0 else () for i in operator.inputs)
        wanted = None
        if operator.kind in _WRITERS:
            named = operator.layer_names & filters.keys()
            unused -= named
            wanted = filters[min(named)] if named else None
        if wanted is None and inputs == own_inputs:
            outputs = tuple(graph.shape(i) for i in operator.outputs)
        else:
            rule = _rule(operator)
            inputs, output = rule(graph, operator, inputs, wanted)
            outputs = (output,)
        shapes.update(zip(operator.outputs, outputs, strict=True))
        result.append(SizedOperator(operator, inputs, outputs))
    if unused:
        raise UnsupportedLayerError(f"the .tflite has no layer named {', '.join(sorted(unused))}")
    return result


_Sized = tuple[tuple[Shape, ...], Shape]
"""Shapes of all inputs, shape of the output."""

_Rule = Callable[[Graph, Operator, Sequence[Shape], int | None], _Sized]


def _rule(operator: Operator) -> _Rule:
    if operator.kind in _WRITERS:
        return _WRITERS[operator.kind]
    if operator.kind == "DEPTHWISE_CONV_2D":
        return _depthwise
    if operator.kind == "RESHAPE":
        return _reshape
    if operator.kind in _ELEMENTWISE:
        return _elementwise
    if operator.kind in _PER_CHANNEL:
        return _per_channel
    raise UnsupportedLayerError(f"layer {operator.index} ({operator.kind}) cannot be given another number of channels")


def _own_output(graph: Graph, operator: Operator) -> Shape:
    return graph.shape(operator.outputs[0])


def _writer(graph: Graph, operator: Operator, inputs: Sequence[Shape], filters: int | None) -> _Sized:
    data, weights, *bias = inputs
    own_channels = graph.shape(operator.inputs[0])[-1]
    if weights[-1] != own_channels and data[-1] != own_channels:
        raise UnsupportedLayerError(f"layer {operator.index}: a grouped convolution keeps its input channels")
    filters = filters or weights[0]
    channels = data[-1] if weights[-1] == own_channels else weights[-1]
    resized = (data, (filters, *weights[1:-1], channels), *((filters,) if shape else () for shape in bias))
    return resized, (*_own_output(graph, operator)[:-1], filters)


def _depthwise(graph: Graph, operator: Operator, inputs: Sequence[Shape], _: int | None) -> _Sized:
    data, weights, *bias = inputs
    filters = data[-1] * weights[-1] // graph.shape(operator.inputs[0])[-1]
    resized = (data, (*weights[:-1], filters), *((filters,) if shape else () for shape in bias))
    return resized, (*_own_output(graph, operator)[:-1], filters)


def _per_channel(graph: Graph, operator: Operator, inputs: Sequence[Shape], _: int | None) -> _Sized:
    return tuple(inputs), (*_own_output(graph, operator)[:-1], inputs[0][-1])


def _elementwise(graph: Graph, operator: Operator, inputs: Sequence[Shape], _: int | None) -> _Sized:
    channels = {shape[-1] for i, shape in zip(operator.inputs, inputs, strict=True) if graph.constant(i) is None}
    if len(channels) != 1:
        raise UnsupportedLayerError(f"layer {operator.index} ({operator.kind}) would join {sorted(channels)} channels")
    own_channels = _own_output(graph, operator)[-1]
    resized = tuple(
        (*shape[:-1], *channels) if shape and shape[-1] == own_channels else tuple(shape) for shape in inputs
    )
    return resized, (*_own_output(graph, operator)[:-1], *channels)


def _reshape(graph: Graph, operator: Operator, inputs: Sequence[Shape], _: int | None) -> _Sized:
    own_input, own_output = graph.shape(operator.inputs[0]), _own_output(graph, operator)
    size = math.prod(inputs[0])
    if math.prod(own_output) != own_output[-1] * own_output[0] and own_output[-1] != own_input[-1]:
        raise UnsupportedLayerError(f"layer {operator.index}: a RESHAPE that splits channels cannot be followed")
    return tuple(inputs), (*own_output[:-1], size // math.prod(own_output[:-1]))


_WRITERS: Mapping[str, _Rule] = {"CONV_2D": _writer, "FULLY_CONNECTED": _writer}
