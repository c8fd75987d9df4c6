"""Running a `.tflite` with LiteRT's interpreter, in this process, for its answers rather than its speed."""

import re
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import InvalidModelError

_COUNTED = re.compile(r"output_(\d+)")


def interpreter(tflite: bytes, threads: int) -> Interpreter:
    """An allocated interpreter.

    Raises:
        InvalidModelError: the runtime refuses the model; its own words are in the message.
    """
    try:
        result = Interpreter(model_content=tflite, num_threads=threads)
        result.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InvalidModelError(f"the runtime refuses this model: {error}") from error
    return result


def outputs(tflite: bytes, images: np.ndarray, threads: int = 1) -> np.ndarray:
    """The first output for every image.

    Args:
        tflite: a model whose first input is [1, H, W, C], of float32 or with a scale.
        images: float32 [N, H, W, C].
        threads: threads of the interpreter.

    Returns:
        float32 [N, ...].
    """
    return all_outputs(tflite, images, threads)[0]


def all_outputs(tflite: bytes, images: np.ndarray, threads: int = 1) -> list[np.ndarray]:
    """Every output for every image.

    A file lists outputs in an order of its own. Which is which of the Keras network's stands in its signature; a file
    without one, such as a cut network, keeps its own order.

    Args:
        tflite: a model whose first input is [1, H, W, C], of float32 or with a scale.
        images: float32 [N, H, W, C].
        threads: threads of the interpreter.

    Returns:
        float32 [N, ...] by output, in the order of the Keras network's outputs (of its sorted keys, where it returns a
        dictionary).
    """
    with quiet_native_code():
        runner = interpreter(tflite, threads)
    source = runner.get_input_details()[0]
    results = _outputs_in_order(runner)
    rows: list[list[np.ndarray]] = [[] for _ in results]
    for image in images:
        runner.set_tensor(source["index"], _stored(image[np.newaxis], source))
        runner.invoke()
        for row, result in zip(rows, results, strict=True):
            row.append(_meant(runner.get_tensor(result["index"])[0], result))
    return [np.stack(row) for row in rows]


def _stored(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """Numbers as a tensor holds them: float32 as it is, or rounded to its steps."""
    scale, zero_point = tensor["quantization"]
    if not scale:
        return values
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / scale + zero_point), limits.min, limits.max).astype(tensor["dtype"])


def _meant(stored: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    """The numbers that a tensor holds."""
    scale, zero_point = tensor["quantization"]
    return np.float32(scale) * (stored.astype(np.float32) - zero_point) if scale else stored


def _outputs_in_order(runner: Interpreter) -> list[dict[str, Any]]:
    """Tensors; a signature names its outputs `output_0`, `output_1` ... or by the dictionary's keys."""
    if not runner.get_signature_list():
        return runner.get_output_details()
    details = runner.get_signature_runner().get_output_details()
    counted = {name: _COUNTED.fullmatch(name) for name in details}
    names = sorted(details, key=lambda name: (int(found[1]) if (found := counted[name]) else 0, name))
    return [details[name] for name in names]
