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
    """The first output for every image; see `all_outputs`.

    Returns:
        float32 [N, ...].
    """
    return all_outputs(tflite, images, threads)[0]


def all_outputs(tflite: bytes, images: np.ndarray, threads: int = 1) -> list[np.ndarray]:
    """Every output for every image.

    Args:
        tflite: a model whose first input is float32 [1, H, W, C].
        images: float32 [N, H, W, C].
        threads: threads of the interpreter.

    Returns:
        Each float32 [N, ...], in the order of the network that was converted; in the file's where it does not tell.
    """
    with quiet_native_code():
        runner = interpreter(tflite, threads)
    source = runner.get_input_details()[0]["index"]
    results = _output_indices(runner)
    rows = []
    for image in images:
        runner.set_tensor(source, image[np.newaxis])
        runner.invoke()
        rows.append([runner.get_tensor(index)[0] for index in results])
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _output_indices(runner: Interpreter) -> list[int]:
    """Tensor indices of the outputs, in the order in which `convert` numbers them."""
    in_file = [detail["index"] for detail in runner.get_output_details()]
    if len(in_file) == 1 or not runner.get_signature_list():
        return in_file
    named = runner.get_signature_runner().get_output_details()
    return [named[f"output_{number}"]["index"] for number in range(len(named))]
