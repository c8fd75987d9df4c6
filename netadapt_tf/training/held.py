"""Values that data sets draw on, once in this machine's memory, whatever devices there are."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64  # bytes; what TensorFlow asks of memory that is not its own


class Held:
    """An array that is a tensor, too, without a copy (by DLPack); to other processes only the array is sent.

    `tf.constant` would take twice as much memory again for a while, or a GPU's.
    """

    def __init__(self, values: np.ndarray) -> None:
        """Takes the array, which must not change any more; one of `aligned` is not copied."""
        self._values = values

    def __reduce__(self) -> tuple[Any, ...]:
        return Held, (self._values,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self._values.shape

    @cached_property
    def tensor(self) -> tf.Tensor:
        """The same values, on the CPU."""
        flags = self._values.flags
        if not flags.writeable or not flags.c_contiguous or self._values.ctypes.data % _ALIGNMENT:
            mine = aligned(self._values.shape, self._values.dtype)
            mine[...] = self._values
            self._values = mine
        return tf.experimental.dlpack.from_dlpack(self._values.__dlpack__())


def aligned(shape: Sequence[int], dtype: np.dtype | type = np.uint8) -> np.ndarray:
    """An array, not filled, where TensorFlow can share it; what is never written takes no memory."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)
