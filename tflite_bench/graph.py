"""A `.tflite` as a list of layers, read and never changed; `sizing` says what they would be at other widths."""

import functools
import math
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tflite_bench.errors import InvalidModelError
from tflite_bench.shape_rules import WRITERS, Shape

__all__ = ["Graph", "Operator", "Shape"]

_IDENTIFIER = b"TFL3"


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TYPE_NAMES = {value: name.lower() for value, name in _names(schema.TensorType).items()}

_LEAST_QUANTIZED = 1024  # numbers


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


class Graph:
    """A parsed `.tflite`; read only.

    A constant may be stored in fewer bits than its layer reads: a DEQUANTIZE then stands between the two, which
    runtimes run once, when they load the model. Here that is part of the layer, whose input is the constant as stored.

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
            self._dequantizers = self._find_dequantizers()
            self.operators = tuple(
                self._operator(index, raw)
                for index, raw in enumerate(self._subgraph.operators)
                if int(raw.outputs[0]) not in self._dequantizers
            )
            self._by_index = {operator.index: operator for operator in self.operators}
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

    def operator(self, index: int) -> Operator:
        """The operator at a position of the file's order."""
        return self._by_index[index]

    def name(self, operator: Operator) -> str:
        """What the converter calls an operator, mostly after its Keras layer."""
        return self.tensor(operator.outputs[0]).name.decode(errors="replace").split(";")[0]

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

    def is_scaled(self, index: int) -> bool:
        """Whether a tensor's integers stand for other numbers."""
        quantization = self.tensor(index).quantization
        return quantization is not None and quantization.scale is not None and len(quantization.scale) > 0

    def bytes_of(self, index: int, shape: Shape) -> int:
        """Bytes that a tensor takes at another shape."""
        return math.prod(shape) * np.dtype(self.type_name(index)).itemsize

    def dequantizer(self, operator: Operator, position: int) -> schema.OperatorT | None:
        """What turns a stored constant into what the layer reads, or None where it reads what is stored."""
        return self._dequantizers.get(int(self.schema_operator(operator).inputs[position]))

    def stored_type(self, operator: Operator, position: int, shape: Shape) -> str:
        """The number type of a constant at another shape.

        Of a network of dynamic range, whose activations are float32, the converter leaves weights of fewer than 1024
        numbers as they are (`minimum_elements_for_weights` in TensorFlow's `quantize_weights`).
        """
        own = self.type_name(operator.inputs[position])
        is_dynamic = own == "int8" and self.type_name(operator.outputs[0]) == "float32"
        return "float32" if is_dynamic and math.prod(shape) < _LEAST_QUANTIZED else own

    def is_constant(self, index: int) -> bool:
        """Whether a tensor is a constant; without a look at its values."""
        return self.model.buffers[self.tensor(index).buffer].data is not None

    def constant(self, index: int) -> np.ndarray | None:
        """A constant tensor's values, or None for a tensor that is computed."""
        data = self.model.buffers[self.tensor(index).buffer].data
        if data is None:
            return None
        return np.frombuffer(bytes(data), np.dtype(self.type_name(index))).reshape(self.shape(index))

    def _kind(self, raw: schema.OperatorT) -> str:
        code = self.model.operatorCodes[raw.opcodeIndex]
        return OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def _find_dequantizers(self) -> dict[int, schema.OperatorT]:
        """By the tensor that they write, the operators that only unpack a constant."""
        return {
            int(raw.outputs[0]): raw
            for raw in self._subgraph.operators
            if self._kind(raw) == "DEQUANTIZE" and self.is_constant(int(raw.inputs[0]))
        }

    def _operator(self, index: int, raw: schema.OperatorT) -> Operator:
        read = tuple(int(i) for i in raw.inputs)
        inputs = tuple(int(self._dequantizers[i].inputs[0]) if i in self._dequantizers else i for i in read)
        outputs = tuple(int(i) for i in raw.outputs)
        constants = [
            name
            for stored, unpacked in zip(inputs[1:], read[1:], strict=True)
            if stored >= 0 and self.is_constant(stored)
            for name in (stored, unpacked)
        ]
        return Operator(
            index=index,
            kind=self._kind(raw),
            inputs=inputs,
            outputs=outputs,
            paths=frozenset(
                tuple(path.split("/"))
                for i in (*constants, *outputs)
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
        weights = {self._by_index[index].inputs[1] for index in nearest}
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
