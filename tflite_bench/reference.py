"""Two fixed models that every measuring needs, written operator by operator, the same on every machine.

The reference network is timed in every batch, to see the device drift; the almost empty model
tells what a call costs by itself.
"""

import functools

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_SEED = 20180910
_SIZE, _CHANNELS, _LAYERS = 16, 64, 4


@functools.cache
def reference_network() -> bytes:
    """Four 1x1 convolutions, 64 -> 64 channels on 16x16 positions: float32 [1, 16, 16, 64], about 4 million MACs."""
    writer = _Writer()
    shape = [1, _SIZE, _SIZE, _CHANNELS]
    generator = np.random.default_rng(_SEED)
    for _ in range(_LAYERS):
        kernel = generator.normal(scale=_CHANNELS**-0.5, size=(_CHANNELS, 1, 1, _CHANNELS)).astype(np.float32)
        options = schema.Conv2DOptionsT()
        options.strideW = options.strideH = 1
        options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
        writer.append(
            schema.BuiltinOperator.CONV_2D,
            schema.BuiltinOptions.Conv2DOptions,
            options,
            [kernel, np.zeros(_CHANNELS, np.float32)],
            shape,
        )
    return writer.pack(shape)


@functools.cache
def almost_empty_model(delegated: bool = False) -> bytes:
    """One operator on next to nothing: what is left is the cost of the call.

    Args:
        delegated: the model is for a delegate that takes it whole, such as a GPU's: it holds a RELU of four numbers,
            which all of them know; otherwise a RESHAPE of one number.
    """
    writer = _Writer()
    if delegated:
        writer.append(schema.BuiltinOperator.RELU, schema.BuiltinOptions.NONE, None, [], [1, 1, 1, 4])
        return writer.pack([1, 1, 1, 4])
    writer.append(
        schema.BuiltinOperator.RESHAPE, schema.BuiltinOptions.NONE, None, [np.array([1, 1], np.int32)], [1, 1]
    )
    return writer.pack([1, 1])


class _Writer:
    """A chain of operators of one kind; tensor 0 is the input."""

    def __init__(self) -> None:
        self._subgraph = schema.SubGraphT()
        self._subgraph.tensors, self._subgraph.operators = [None], []
        self._buffers = [schema.BufferT()]
        self._code = schema.OperatorCodeT()
        self._last = 0

    def append(
        self, code: int, options_type: int, options: object, constants: list[np.ndarray], shape: list[int]
    ) -> None:
        self._code.builtinCode = self._code.deprecatedBuiltinCode = code
        self._code.version = 1
        operator = schema.OperatorT()
        operator.builtinOptionsType, operator.builtinOptions = options_type, options
        operator.inputs = [self._last, *(self._constant(value) for value in constants)]
        self._last = self._tensor(shape, schema.TensorType.FLOAT32, 0)
        operator.outputs = [self._last]
        self._subgraph.operators.append(operator)

    def pack(self, input_shape: list[int]) -> bytes:
        self._subgraph.tensors[0] = self._describe(input_shape, schema.TensorType.FLOAT32, 0, "input")
        self._subgraph.inputs, self._subgraph.outputs = [0], [self._last]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [self._subgraph], self._buffers
        model.operatorCodes = [self._code]
        builder = flatbuffers.Builder(1 << 12)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _constant(self, value: np.ndarray) -> int:
        self._buffers.append(schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8)))
        is_float = value.dtype == np.float32
        number_type = schema.TensorType.FLOAT32 if is_float else schema.TensorType.INT32
        return self._tensor(list(value.shape), number_type, len(self._buffers) - 1)

    def _tensor(self, shape: list[int], number_type: int, buffer: int) -> int:
        self._subgraph.tensors.append(self._describe(shape, number_type, buffer, f"t{len(self._subgraph.tensors)}"))
        return len(self._subgraph.tensors) - 1

    @staticmethod
    def _describe(shape: list[int], number_type: int, buffer: int, name: str) -> schema.TensorT:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer, tensor.name = shape, number_type, buffer, name
        return tensor
