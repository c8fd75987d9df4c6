"""Models of operators that read one tensor and write one of the same shape, the one after the other."""

from collections.abc import Sequence

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

SHAPE = [1, 8, 8, 16]


def unary_model(kinds: Sequence[str]) -> bytes:
    """A `.tflite`, float32 [1, 8, 8, 16] -> the same, of these operators.

    Args:
        kinds: TensorFlow Lite's names of operators without options, for example `RELU`.
    """
    subgraph = schema.SubGraphT()
    subgraph.tensors = [_tensor(number) for number in range(len(kinds) + 1)]
    subgraph.operators = [_operator(number) for number in range(len(kinds))]
    subgraph.inputs, subgraph.outputs = [0], [len(kinds)]
    model = schema.ModelT()
    model.version, model.subgraphs, model.buffers = 3, [subgraph], [schema.BufferT()]
    model.operatorCodes = [_code(getattr(schema.BuiltinOperator, kind)) for kind in kinds]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(number: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer, tensor.name = SHAPE, schema.TensorType.FLOAT32, 0, f"t{number}"
    return tensor


def _operator(number: int) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = number, [number], [number + 1]
    return operator


def _code(operator: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = operator, min(operator, 127), 1
    return code
