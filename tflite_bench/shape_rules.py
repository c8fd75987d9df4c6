"""What every operator makes of inputs that have other sizes along some axes: pure functions of shapes.

Channels are followed by what an operator does with the axis they stand on, not by where that axis should be: a file
holds them last in `[1, H, W, C]`, in `[1, H * W * C]` after a flattening, in `[1, 1, 1, C]` where a gate is computed.
An operator that would need other values, not only other shapes, is refused.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from tflite_bench.errors import UnsupportedLayerError

Shape = tuple[int, ...]

Sized = tuple[tuple[Shape, ...], Shape]
"""Shapes of all inputs, shape of the output."""


@dataclass(frozen=True)
class Resizing:
    """One operator that is to have other shapes than in the file.

    Attributes:
        name: for messages.
        kind: TensorFlow Lite's name, for example `CONV_2D`.
        own_inputs: shapes in the file; () where an optional input is left out.
        inputs: the same, but for computed inputs the shapes that they are to have.
        own_output: shape of the output in the file.
        filters: how many a convolution or fully connected layer is to have; None for its own.
        options: the operator's options, as the flatbuffer's object form has them.
        is_constant: by position, which inputs are constants.
        constant: the values of a constant input, by position.
    """

    name: str
    kind: str
    own_inputs: tuple[Shape, ...]
    inputs: tuple[Shape, ...]
    own_output: Shape
    filters: int | None
    options: Any
    is_constant: tuple[bool, ...]
    constant: Callable[[int], np.ndarray | None]

    def changed(self, position: int = 0) -> set[int]:
        """Axes along which an input is to have another size."""
        pairs = zip(self.own_inputs[position], self.inputs[position], strict=True)
        return {axis for axis, (own, new) in enumerate(pairs) if own != new}

    def refuse(self, why: str) -> NoReturn:
        """Says that the operator cannot be followed."""
        raise UnsupportedLayerError(f"{self.name} cannot be given another number of channels: {why}")


def resized(case: Resizing) -> Sized:
    """All shapes of an operator.

    Raises:
        UnsupportedLayerError: it cannot take the new shapes.
    """
    if case.kind in _REFUSED:
        case.refuse(_REFUSED[case.kind])
    if case.kind not in _RULES:
        case.refuse("what it does with them is not known")
    return _RULES[case.kind](case)


def _refuse_changed_places(case: Resizing, position: int = 0) -> None:
    shape = case.inputs[position]
    if case.changed(position) - {len(shape) - 1}:
        case.refuse(f"they do not stand on the last axis of its input {list(shape)}")


def _integers(case: Resizing, position: int) -> list[int]:
    constant = case.constant(position)
    if constant is None:
        case.refuse("where it works is computed")
    return [int(value) for value in constant.ravel()]


def _convolution(case: Resizing) -> Sized:
    _refuse_changed_places(case)
    data, weights, *bias = case.inputs
    if weights[-1] != case.own_inputs[0][-1]:
        case.refuse("it is a grouped convolution")
    filters = _filters(case, 1)
    inputs = (data, (filters, *weights[1:-1], data[-1]), *_biases(bias, filters))
    return inputs, (*case.own_output[:-1], filters)


def _fully_connected(case: Resizing) -> Sized:
    data, weights, *bias = case.inputs
    own = case.own_inputs[0]
    read = next((axis for axis in reversed(range(len(own))) if math.prod(own[axis:]) == weights[-1]), None)
    if read is None or any(axis < read for axis in case.changed()):
        case.refuse("it does not read them as a row")
    filters = _filters(case, 1)
    inputs = (data, (filters, math.prod(data[read:])), *_biases(bias, filters))
    return inputs, (*case.own_output[:-1], filters)


def _transposed_convolution(case: Resizing) -> Sized:
    _refuse_changed_places(case, 2)
    shape, weights, data, *bias = case.inputs
    filters = _filters(case, 1)
    inputs = (shape, (filters, *weights[1:-1], data[-1]), data, *_biases(bias, filters))
    return inputs, (*case.own_output[:-1], filters)


def _filters(case: Resizing, weights: int) -> int:
    if not case.is_constant[weights]:
        case.refuse("its weights are computed")
    return case.filters or case.inputs[weights][0]


def _biases(bias: Sequence[Shape], filters: int) -> Iterator[Shape]:
    return ((filters,) if shape else () for shape in bias)


def _depthwise(case: Resizing) -> Sized:
    _refuse_changed_places(case)
    data, weights, *bias = case.inputs
    if not case.is_constant[1]:
        case.refuse("its weights are computed")
    filters = data[-1] * weights[-1] // case.own_inputs[0][-1]  # its multiplier stays
    return (data, (*weights[:-1], filters), *_biases(bias, filters)), (*case.own_output[:-1], filters)


def _each_channel_alone(case: Resizing) -> Sized:
    _refuse_changed_places(case)
    return case.inputs, (*case.own_output[:-1], case.inputs[0][-1])


def _each_number_alone(case: Resizing) -> Sized:
    return case.inputs, case.inputs[0]


def _elementwise(case: Resizing) -> Sized:
    """Broadcasting as numpy does it: axes are matched from the last, and an axis of length one is repeated."""
    rank = len(case.own_output)
    inputs = [list(shape) for shape in case.inputs]
    output = list(case.own_output)
    for axis in range(-rank, 0):
        reaching = [position for position, shape in enumerate(inputs) if len(shape) >= -axis]
        full = [position for position in reaching if case.own_inputs[position][axis] == case.own_output[axis]]
        sizes = {inputs[position][axis] for position in full if not case.is_constant[position]} or {output[axis]}
        if output[axis] == 1:  # each of them may be the one that is repeated
            sizes = sizes - {1} or {1}
        if len(sizes) > 1:
            case.refuse(f"it would join {' and '.join(map(str, sorted(sizes)))} of them")
        (output[axis],) = sizes
        for position in full:
            if case.is_constant[position] and case.own_inputs[position][axis] != 1:
                inputs[position][axis] = output[axis]
        if any(inputs[position][axis] not in (1, output[axis]) for position in reaching):
            case.refuse("one that was repeated along an axis no longer can be")
    return tuple(map(tuple, inputs)), tuple(output)


def _concatenation(case: Resizing) -> Sized:
    rank = len(case.own_output)
    joined = case.options.axis % rank
    computed = [position for position in range(len(case.inputs)) if not case.is_constant[position]]
    output = list(case.own_output)
    for axis in range(rank):
        sizes = {case.inputs[position][axis] for position in computed}
        if axis != joined and len(sizes) > 1:
            case.refuse(f"it would join {' and '.join(map(str, sorted(sizes)))} of them")
        if axis != joined and sizes:
            (output[axis],) = sizes
    inputs = tuple(
        tuple(shape[axis] if axis == joined else output[axis] for axis in range(rank)) for shape in case.inputs
    )
    output[joined] = sum(shape[joined] for shape in inputs)
    return inputs, tuple(output)


def _reduction(case: Resizing) -> Sized:
    rank = len(case.inputs[0])
    reduced = {axis % rank for axis in _integers(case, 1)}
    if reduced & case.changed():
        case.refuse("it makes one number of all of them")
    return case.inputs, tuple(
        1 if axis in reduced else size
        for axis, size in enumerate(case.inputs[0])
        if axis not in reduced or case.options.keepDims
    )


def _reshape(case: Resizing) -> Sized:
    """Axes may be joined; axes of length one may come and go."""
    own, new = case.own_inputs[0], case.inputs[0]
    changed = case.changed()
    if any(own[axis] == 1 for axis in changed):
        case.refuse("where an axis of length one goes cannot be told")
    output = list(case.own_output)
    for before, after in _matching_axes(own, case.own_output):
        if changed.isdisjoint(before):
            continue
        if len(after) > 1:
            case.refuse("it splits them over several axes")
        output[after[0]] = math.prod(new[axis] for axis in before)
    return case.inputs, tuple(output)


def _matching_axes(before: Shape, after: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """The smallest runs of axes that hold the same numbers before and after a reshape; none of length one."""
    left = [axis for axis, size in enumerate(before) if size != 1]
    right = [axis for axis, size in enumerate(after) if size != 1]
    while left:
        sources, results = [left.pop(0)], [right.pop(0)]
        while (many := math.prod(before[a] for a in sources)) != (few := math.prod(after[a] for a in results)):
            if many < few:
                sources.append(left.pop(0))
            else:
                results.append(right.pop(0))
        yield sources, results


def _padding(case: Resizing) -> Sized:
    around = np.reshape(_integers(case, 1), (-1, 2))  # [rank, 2]
    if any(around[axis].any() for axis in case.changed()):
        case.refuse("it puts others beside them")
    return case.inputs, tuple(int(size) for size in np.add(case.inputs[0], around.sum(1)))


def _slice(case: Resizing) -> Sized:
    begin = _integers(case, 1)
    for axis in case.changed():
        if begin[axis] != 0 or case.own_output[axis] != case.own_inputs[0][axis]:
            case.refuse("it takes some of them only")
    changed = case.changed()
    return case.inputs, tuple(
        case.inputs[0][axis] if axis in changed else size for axis, size in enumerate(case.own_output)
    )


def _strided_slice(case: Resizing) -> Sized:
    if case.options.ellipsisMask or case.options.newAxisMask:
        case.refuse("it takes some of them only")
    begin, strides = _integers(case, 1), _integers(case, 3)
    for axis in case.changed() & set(range(len(begin))):  # axes that are not spoken of stay whole
        starts = begin[axis] == 0 or case.options.beginMask >> axis & 1
        if not starts or not case.options.endMask >> axis & 1 or strides[axis] != 1:
            case.refuse("it takes some of them only")
    left = [axis for axis in range(len(case.inputs[0])) if not case.options.shrinkAxisMask >> axis & 1]
    if any(axis not in left for axis in case.changed()):
        case.refuse("it takes some of them only")
    changed = case.changed()
    return case.inputs, tuple(
        case.inputs[0][axis] if axis in changed else size for axis, size in zip(left, case.own_output, strict=True)
    )


def _all_of(rule: Callable[[Resizing], Sized], kinds: str) -> dict[str, Callable[[Resizing], Sized]]:
    return dict.fromkeys(kinds.split(), rule)


_RULES: Mapping[str, Callable[[Resizing], Sized]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "TRANSPOSE_CONV": _transposed_convolution,
    "CONCATENATION": _concatenation,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    **_all_of(_each_channel_alone, "AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR"),
    **_all_of(_each_channel_alone, "SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND"),
    **_all_of(_each_number_alone, "ABS CAST CEIL COS DEQUANTIZE ELU EXP FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC"),
    **_all_of(_each_number_alone, "NEG QUANTIZE RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SIGN SIN SQRT SQUARE"),
    **_all_of(_each_number_alone, "TANH ZEROS_LIKE"),
    **_all_of(_elementwise, "ADD ADD_N DIV FLOOR_DIV FLOOR_MOD MAXIMUM MINIMUM MUL POW PRELU SQUARED_DIFFERENCE SUB"),
    **_all_of(
        _elementwise, "EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR NOT_EQUAL SELECT SELECT_V2"
    ),
    **_all_of(_padding, "MIRROR_PAD PAD PADV2"),
    **_all_of(_reduction, "MEAN REDUCE_MAX REDUCE_MIN REDUCE_PROD SUM"),
    **_all_of(_reshape, "EXPAND_DIMS RESHAPE SQUEEZE"),
}

_MIXES = "each of its results depends on all of them"
_MOVES = "it moves them to other places"
_REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("BATCH_MATMUL", "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION", "LOG_SOFTMAX"), _MIXES),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN", "CUMSUM", "SOFTMAX", "TOPK_V2"), _MIXES),
    **dict.fromkeys(("DEPTH_TO_SPACE", "GATHER", "GATHER_ND", "PACK", "REVERSE_V2", "SPACE_TO_DEPTH"), _MOVES),
    **dict.fromkeys(("SPLIT", "SPLIT_V", "TRANSPOSE", "UNPACK"), _MOVES),
}

SHAPE_OPERANDS: Mapping[str, int] = {"RESHAPE": 1, "SLICE": 2, "TRANSPOSE_CONV": 0}
"""Where an operator has an input that says its output's shape."""

WRITERS = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Operators that can have another number of filters; their weights are their second input."""
