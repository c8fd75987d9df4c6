"""The numbers that a `.tflite` holds and computes with.

| precision | weights | activations | input and output |
|---|---|---|---|
| float32 | float32 | float32 | float32 |
| float16 | float16, unpacked when the model is loaded | float32 (a GPU's delegate: float16) | float32 |
| dynamic | int8 where a layer has 1024 or more | float32 | float32 |
| int8 | int8, a scale for each channel | int8 | int8 |
"""

from collections.abc import Sequence

import numpy as np

from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.target import Target

PRECISIONS = ("float32", "float16", "dynamic", "int8")

MIN_CALIBRATION_IMAGES = 16

_BY_DELEGATE = {"cpu": PRECISIONS, "gpu": ("float32", "float16"), "nnapi": ("float32", "float16", "int8")}


def check_runs(precision: str, targets: Sequence[Target]) -> None:
    """Sees that every target runs networks of a precision.

    Raises:
        UserError: one does not.
    """
    for target in targets:
        known = _BY_DELEGATE[target.delegate]
        if precision not in known:
            raise UserError(
                f"target {target} does not run networks of precision {precision}: its delegate takes {', '.join(known)}"
            )


def check_integer(graph: Graph, name: str) -> None:
    """Sees that all of a network is computed in integers; what int8 lacks the converter leaves in float32.

    Raises:
        UserError: some operator is computed in float32.
    """
    for operator in graph.operators:
        if operator.kind != "DEQUANTIZE" and "float32" in map(graph.type_name, operator.outputs):
            raise UserError(
                f"{name} cannot be computed in int8: {operator.kind} ({graph.name(operator)}) has no integer form in "
                "TensorFlow Lite; replace that layer, or take another precision"
            )


def check_calibration(images: np.ndarray) -> None:
    """Sees that images can tell the range of every activation.

    Args:
        images: float32 [N, H, W, C].

    Raises:
        UserError: they are too few, or hold numbers that are none.
    """
    if len(images) < MIN_CALIBRATION_IMAGES:
        raise UserError(
            f"int8 needs {MIN_CALIBRATION_IMAGES} or more training images to calibrate with; there are {len(images)}"
        )
    broken = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
    if len(broken):
        raise UserError(
            f"int8 cannot be calibrated: {len(broken)} of {len(images)} training images hold NaN or infinity, first "
            f"image {broken[0]}"
        )
