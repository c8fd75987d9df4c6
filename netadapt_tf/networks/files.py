"""Trained networks from files, and to files."""

import os
from pathlib import Path

import tf_keras

from tflite_bench.errors import UserError


def load_network(path: Path) -> tf_keras.Model:
    """Loads a trained functional model from a `.keras` or `.h5` file.

    Raises:
        UserError: no such file, another format, or not a functional model of one image input.
    """
    if path.suffix not in (".keras", ".h5"):
        raise UserError(f"{path} should end in .keras or .h5")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        network = tf_keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its readers raise
        raise UserError(
            f"{path} cannot be read as a model saved by tf_keras (Keras 2; Keras 3 writes another format): "
            f"{_first_line(error)}"
        ) from error
    if not getattr(network, "_is_graph_network", False):
        raise UserError(f"{path} holds a {type(network).__name__}; a functional model is needed")
    if isinstance(network, tf_keras.Sequential):
        network = tf_keras.Model(network.inputs, network.outputs, name=network.name)
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        raise UserError(
            f"{path} has input shape {shape}; one input [N, height, width, channels] of fixed size is needed"
        )
    return network


def save_network(network: tf_keras.Model, path: Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    partial = path.with_name(f".{path.stem}.partial.keras")
    network.save(partial)
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
