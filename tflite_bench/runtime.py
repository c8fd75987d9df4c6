"""Running a `.tflite` with LiteRT's interpreter, in this process, for its answers rather than its speed."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import InvalidModelError


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
        tflite: a model whose first input is float32 [1, H, W, C].
        images: float32 [N, H, W, C].
        threads: threads of the interpreter.

    Returns:
        float32 [N, ...].
    """
    with quiet_native_code():
        runner = interpreter(tflite, threads)
    source = runner.get_input_details()[0]["index"]
    result = runner.get_output_details()[0]["index"]
    rows = []
    for image in images:
        runner.set_tensor(source, image[np.newaxis])
        runner.invoke()
        rows.append(runner.get_tensor(result)[0])
    return np.stack(rows)
