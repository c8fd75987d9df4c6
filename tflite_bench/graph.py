"""A `.tflite` as a list of layers whose channel counts can be changed on paper.

`sized` walks the operators once, front to back, and says which shapes every layer has when some
of them have other numbers of filters. Nothing is built: it is cheap enough to be asked thousands
of times. `shape_rules` knows what each operator does with shapes; `layer_models` turns the answer into files.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_bench.errors import InvalidModelError, UnsupportedLayerError
from tflite_bench.shape_rules import WRITERS, Resizing, Shape, resized

__all__ = ["Graph", "Operator", "Shape", "SizedOperator", "sized"]

_IDENTIFIER = b"TFL3"


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TYPE_NAMES = {value: name.lower() for value, name in _names(schema.TensorType).items()}

_MAC_KINDS = (*WRITERS, "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class Operator:
    """One layer as it stands in the file.

    Attributes:
        index: position in the file's order of execution.
        kind: TensorFlow Lite's name, for example `CONV_2D`.
        inputs: tensor indices; -1 where an optional input is left out.
        outputs: tensor indices.
        paths: of what was made into it, for example `network/conv1/Conv2D`, as parts: the network's name, the names of
            nested networks, the Keras layer's name (which may have several parts), and what the layer calls the step.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    paths: frozenset[tuple[str, ...]]

    @functools.cached_property
    def layer_names(self) -> frozenset[str]:
        """Every run of parts of its paths; the Keras layer's name is one."""
        return frozenset(
            "/".join(path[begin:end])
            for path in self.paths
            for begin in range(len(path))
            for end in range(begin + 1, len(path) + 1)
        )


@dataclass(frozen=True)
class SizedOperator:
    """An operator with the shapes it has at some choice of filters; shapes are of `operator.inputs` and `.outputs`."""

    operator: Operator
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one run."""
        if self.operator.kind not in _MAC_KINDS:
            return 0
        weights = self.input_shapes[1]
        if self.operator.kind == "TRANSPOSE_CONV":  # every number that it reads meets all weights of its channel
            return math.prod(self.input_shapes[2]) * math.prod(weights[:-1])
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
            self._writers_named: dict[str, frozenset[int]] = {}
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
            paths=frozenset(
                tuple(path.split("/"))
                for i in (*(i for i in inputs[1:] if i >= 0 and self.is_constant(i)), *outputs)
                for path in self.tensor(i).name.decode(errors="replace").split(";")
                if "/" in path  # the rest are names that the converter gives
            ),
        )

    def writers_named(self, name: str) -> frozenset[int]:
        """Which operators are a Keras layer that has filters.

        The converter names an operator after all that it was made from, and parts of a layer's name may be another
        layer's (`block/conv` and `conv`), or a nested network's: what counts is the path that ends soonest after the
        name, and among those begins soonest. A layer that is called several times may lose its name in some of them;
        the weights are the same.

        Args:
            name: the Keras layer's name.

        Returns:
            Indices of operators; none where no operator bears the name.
        """
        if name not in self._writers_named:
            self._writers_named[name] = self._find_writers(name)
        return self._writers_named[name]

    def _find_writers(self, name: str) -> frozenset[int]:
        writers = [operator for operator in self.operators if operator.kind in WRITERS]
        distances = {
            operator.index: min(found)
            for operator in writers
            if (found := [d for path in operator.paths for d in _distances(path, name.split("/"))])
        }
        nearest = {index for index, distance in distances.items() if distance == min(distances.values())}
        weights = {self.operators[index].inputs[1] for index in nearest}
        return frozenset(
            operator.index
            for operator in writers
            if operator.index in nearest
            or (operator.inputs[1] in weights and (operator.index in distances or not operator.paths))
        )


def _distances(path: tuple[str, ...], name: list[str]) -> list[tuple[int, int]]:
    """Where a name stands in a path: parts behind it and before it; at least one of each."""
    size = len(name)
    return [
        (len(path) - begin - size, begin)
        for begin in range(1, len(path) - size)
        if list(path[begin : begin + size]) == name
    ]


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
                    f"{_described(graph, graph.operators[index])} would have both {wanted[index]} and {count} filters"
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
    paths = graph.tensor(operator.outputs[0]).name.decode(errors="replace").split(";")
    return f"layer {operator.index} ({operator.kind}, {paths[0]})"
