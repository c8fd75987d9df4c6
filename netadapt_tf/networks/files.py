"""Trained networks from files, and to files."""

from pathlib import Path

import tf_keras
from tf_keras.src.engine.functional import Functional

from netadapt_tf.networks.flattening import is_graph, laid_flat
from netadapt_tf.networks.inspection import find_program
from netadapt_tf.networks.stored_config import read_config
from netadapt_tf.networks.training_rules import own_loss
from netadapt_tf.wording import keras_words
from tflite_bench.errors import UserError
from tflite_bench.whole_file import replacing

_SUFFIXES = (".keras", ".h5", ".hdf5")


def load_network(path: Path, *, allow_lambda: bool = False, trust_saved_model: bool = False) -> tf_keras.Model:
    """Loads a trained functional model; nothing that the file holds is run unless the caller says so.

    Args:
        path: a `.keras` or HDF5 (`.h5`, `.hdf5`) file, or a SavedModel directory.
        allow_lambda: whether to load, and run, Lambda layers, foreign classes and operators that are not arithmetic.
        trust_saved_model: whether to load SavedModel directories.

    Raises:
        UserError: no such file, another format, damaged, a program that is not trusted, or not a functional
            model of one image input.
    """
    if path.is_dir():
        _check_directory(path, trust_saved_model)
    else:
        _check_file(path, allow_lambda)
    try:
        network = tf_keras.models.load_model(path, compile=False, safe_mode=not allow_lambda)
    except Exception as error:  # Keras raises whatever its readers raise
        raise UserError(f"{path} cannot be loaded as a network saved by tf_keras: {keras_words(error)}") from error
    return checked(network, str(path))


def check_no_program(network: tf_keras.Model, what: str) -> None:
    """Sees that a network is made of Keras' own layers, which can be read back from a file without running programs.

    Raises:
        UserError: it holds Lambda layers, unregistered classes or operators that are not arithmetic.
    """
    program = find_program(network.get_config(), tf_keras.saving.get_custom_objects().keys())
    if program is not None:
        raise UserError(f"{what} holds {program}; allow_lambda=True (--allow_lambda) takes it as it is")


def checked(network: tf_keras.Model, what: str) -> tf_keras.Model:
    """The network as the search needs it: functional, with one image input.

    A Sequential, or a class of the user's own around a graph of layers, is turned into a functional model, and nested
    models are laid flat.

    Args:
        network: from a file, or handed over from Python.
        what: where it comes from, for messages.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(network, tf_keras.Model):
        kind = f"{type(network).__module__}.{type(network).__name__}"
        raise UserError(f"{what} holds a {kind}; a functional or sequential model of tf_keras (Keras 2) is needed")
    if not getattr(network, "_is_graph_network", False):
        raise UserError(
            f"{what} holds a {type(network).__name__} without a graph of layers; a functional model, or a Sequential "
            f"with an input shape, is needed"
        )
    if not is_graph(network):
        raise UserError(
            f"{what} holds a {type(network).__name__} with a call() of its own, which its graph of layers does not "
            "show; a functional model is needed"
        )
    if adding := own_loss(network):
        raise UserError(
            f"{what} adds a loss to itself (add_loss, at {adding}), which narrower copies of it would not have: build "
            "it without, and give the whole loss as loss="
        )
    if type(network) is not Functional:
        network = tf_keras.Model(network.inputs, network.outputs, name=network.name)
    network = laid_flat(network)
    shape = network.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        raise UserError(
            f"{what} has input shape {shape}; one input [N, height, width, channels] of fixed size is needed"
        )
    return network


def save_network(network: tf_keras.Model, path: Path) -> None:
    """Writes a `.keras` file, whole or not at all."""
    with replacing(path) as partial:
        network.save(partial)


def _check_directory(path: Path, trust_saved_model: bool) -> None:
    if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise UserError(f"{path} is a directory, but no SavedModel; name a .keras or .h5 file")
    if not trust_saved_model:
        raise UserError(
            f"{path} is a SavedModel directory, which is a program; --trust_saved_model loads it if you trust where "
            f"it comes from"
        )


def _check_file(path: Path, allow_lambda: bool) -> None:
    if path.suffix == ".tflite":
        raise UserError(f"{path} cannot be trained; name the .keras or .h5 it was converted from")
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{path} should end in .keras or .h5")
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    config = read_config(path)
    config.pop("compile_config", None)  # what it was trained with is not loaded
    program = None if allow_lambda else find_program(config, tf_keras.saving.get_custom_objects().keys())
    if program is not None:
        raise UserError(f"{path} holds {program}; --allow_lambda loads it if you trust where it comes from")
