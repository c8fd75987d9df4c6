"""The operator profile of a whole network, mapped back to its layers.

The profile lists what ran, in order. Built-in kernels bear their operator's name; XNNPACK gives names of its own (a 1x1
convolution becomes a fully connected layer), restarts its count in every partition, leaves operators out (a reshape
that moves nothing) and adds some (copies). So layers and nodes are aligned by their order and what can be what; a node
of a built-in kernel stands for the operator of its index and no other.

Source of the text forms: `tensorflow/lite/profiling/profile_summary_formatter.cc`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Operator
from tflite_bench.sizing import SizedOperator
from tflite_bench.tool_protobufs import parsed

_CSV_COLUMNS = 8
_RUN_ORDER = "Run Order ="
_ACTIVATIONS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "MINIMUM", "MAXIMUM")
_UNARY = ("LOGISTIC", "HARD_SWISH", "TANH", "ELU", "GELU", "LEAKY_RELU", "ABS", "NEG", "EXP", "SQRT", "RSQRT", "SQUARE")
_BINARY = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "PRELU", "SQUARED_DIFFERENCE", "POW")
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")
_XNNPACK_KINDS = {
    "Unary Elementwise": (*_UNARY, *_ACTIVATIONS, *_CONVERSIONS),
    "Binary Elementwise": _BINARY,
    "Fully Connected": ("CONV_2D", "FULLY_CONNECTED"),
    "Convolution": ("CONV_2D", "DEPTHWISE_CONV_2D"),
    "Deconvolution": ("TRANSPOSE_CONV",),
    "Mean": ("MEAN",),
    "Sum": ("SUM", "MEAN"),
    "Global Average Pooling": ("MEAN", "AVERAGE_POOL_2D"),
    "Average Pooling": ("AVERAGE_POOL_2D", "MEAN"),
    "Max Pooling": ("MAX_POOL_2D",),
    "Softmax": ("SOFTMAX",),
    "Add": ("ADD",),
    "Subtract": ("SUB",),
    "Multiply": ("MUL",),
    "Divide": ("DIV",),
    "Clamp": _ACTIVATIONS,
    "ReLU": _ACTIVATIONS,
    "Sigmoid": ("LOGISTIC",),
    "HardSwish": ("HARD_SWISH",),
    "Leaky ReLU": ("LEAKY_RELU",),
    "PReLU": ("PRELU",),
    "Tanh": ("TANH",),
    "ELU": ("ELU",),
    "GELU": ("GELU",),
    "Constant Pad": ("PAD", "PADV2"),
    "Concatenate": ("CONCATENATION",),
    "Transpose": ("TRANSPOSE",),
    "Resize Bilinear": ("RESIZE_BILINEAR",),
    "Copy": ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION"),
    "Reshape": ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    "Convert": _CONVERSIONS,
}
"""Operators that a node of XNNPACK may stand for, by how its name begins; the longest beginning counts.

Newer versions of XNNPACK have but one name each for all operators of one and of two operands, element by element.
"""

_INDEX_IN_FILE = re.compile(r"\[.*\]:(\d+)", re.DOTALL)
"""How a built-in kernel's node is named: its tensors, and the operator's index in the file."""

_NEVER_LEFT_OUT = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass(frozen=True)
class ProfiledNode:
    """One operator as the profile has it.

    Attributes:
        kind: `CONV_2D`, or `Fully Connected (NC, F32) GEMM` where XNNPACK ran it.
        name: for example `[tensor;names]:32` or `Delegate/Softmax (NC, F32):0`.
        latency_ms: mean over the runs.
    """

    kind: str
    name: str
    latency_ms: float


def read_profile(profile: bytes, log: str) -> list[ProfiledNode]:
    """The nodes of a profile, in the order in which they ran.

    Args:
        profile: what the tool wrote, a `BenchmarkProfilingData` protobuf or CSV; empty where it wrote nothing.
        log: what it printed, read where it wrote nothing.

    Raises:
        MeasurementError: there is no profile, or it is damaged.
    """
    text = profile.decode(errors="replace") if b"Run Order" in profile else "" if profile else log
    nodes = _from_text(text) if text else _from_protobuf(profile)
    for node in nodes:
        if not 0 <= node.latency_ms < float("inf"):
            raise MeasurementError(
                f"the tool's operator profile is damaged: {node.name[:80]!r} took {node.latency_ms} ms"
            )
    operators = [node for node in nodes if "Delegate" not in node.kind]
    if not operators:
        raise MeasurementError("the tool wrote no operator profile that shows single operators")
    return operators


def layer_latencies_ms(nodes: Sequence[ProfiledNode], layers: Sequence[SizedOperator]) -> list[float]:
    """What each layer took, in milliseconds.

    A layer that the runtime left out took nothing; what it ran besides counts for the layer that follows.

    Args:
        nodes: of the profile, in the order in which they ran.
        layers: of the network, in order of execution.

    Raises:
        MeasurementError: a layer with weights is not found in the profile.
    """
    partner = _aligned(nodes, layers)
    latencies_ms = [0.0] * len(layers)
    waiting_ms = 0.0
    last = None
    for node, position in zip(nodes, partner, strict=True):
        waiting_ms += node.latency_ms
        if position is not None:
            latencies_ms[position], waiting_ms, last = waiting_ms, 0.0, position
    if last is not None:
        latencies_ms[last] += waiting_ms
    found = set(partner)
    for position, layer in enumerate(layers):
        if layer.operator.kind in _NEVER_LEFT_OUT and position not in found:
            raise MeasurementError(
                f"the operator profile does not show layer {layer.operator.index} ({layer.operator.kind}); it shows "
                f"{len(nodes)} operators for {len(layers)} layers"
            )
    return latencies_ms


def _aligned(nodes: Sequence[ProfiledNode], layers: Sequence[SizedOperator]) -> list[int | None]:
    """For each node the position of its layer, as many as can in order (longest common subsequence)."""
    fits = np.array([[_may_be(node, layer.operator) for layer in layers] for node in nodes])
    best = np.zeros((len(nodes) + 1, len(layers) + 1), int)  # of what is left, from a node and a layer on
    for i in reversed(range(len(nodes))):
        for j in reversed(range(len(layers))):
            best[i, j] = max(best[i + 1, j], best[i, j + 1], best[i + 1, j + 1] + 1 if fits[i, j] else 0)
    partner: list[int | None] = [None] * len(nodes)
    i = j = 0
    while i < len(nodes) and j < len(layers):
        if fits[i, j] and best[i, j] == best[i + 1, j + 1] + 1:
            partner[i], i, j = j, i + 1, j + 1
        elif best[i, j] == best[i + 1, j]:
            i += 1
        else:
            j += 1
    return partner


def _may_be(node: ProfiledNode, operator: Operator) -> bool:
    if node.kind == operator.kind:
        index = _INDEX_IN_FILE.fullmatch(node.name)
        return index is None or int(index[1]) == operator.index
    if "DWConv" in node.kind:
        return operator.kind == "DEPTHWISE_CONV_2D"
    beginnings = [beginning for beginning in _XNNPACK_KINDS if node.kind.startswith(beginning)]
    return bool(beginnings) and operator.kind in _XNNPACK_KINDS[max(beginnings, key=len)]


def _from_protobuf(profile: bytes) -> list[ProfiledNode]:
    subgraphs = parsed("BenchmarkProfilingData", profile).runtime_profile.subgraph_profiles
    operators = sorted(
        (operator for subgraph in subgraphs for operator in subgraph.per_op_profiles), key=lambda o: o.run_order
    )
    return [
        ProfiledNode(
            operator.node_type.decode(errors="replace"),
            operator.name.decode(errors="replace"),
            operator.inference_microseconds.sum / max(1, operator.inference_microseconds.count) / 1000,
        )
        for operator in operators
    ]


def _from_text(text: str) -> list[ProfiledNode]:
    """The last `Run Order` section, as CSV or as the table on standard output; the first is of the initialisation."""
    _, found, section = text.rpartition(_RUN_ORDER)
    if not found or text.count(_RUN_ORDER) < 2:
        raise MeasurementError("the tool printed no operator profile")
    nodes = []
    for line in section.splitlines()[2:]:  # below the rest of the title, and the columns' names
        if not line.strip() or line.startswith("="):
            break
        is_table = line.startswith("\t")
        columns = line.strip("\r\n").split("\t")[1:] if is_table else line.rsplit(", ", _CSV_COLUMNS - 1)
        try:
            kind, _, mean_ms, *_, name = (column.strip() for column in columns)
            nodes.append(ProfiledNode(kind, name.replace("\t", ","), float(mean_ms)))
        except ValueError as error:
            raise MeasurementError(f"the tool's operator profile is damaged at {line[:80]!r}") from error
    return nodes
