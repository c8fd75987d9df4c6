"""Weights for networks that are built by name: those of ImageNet, or from a file, of which nothing is run."""

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import h5py
import tf_keras
from absl import logging

from netadapt_tf.networks.by_name import NamedNetwork
from netadapt_tf.networks.stored_config import read_config
from netadapt_tf.wording import one_line
from tflite_bench.errors import UserError

IMAGENET = "imagenet"

_SUFFIXES = (".h5", ".hdf5", ".keras")
_NEW_SUFFIX = ".weights.h5"
_FAILED_DOWNLOAD = re.compile(r"URL fetch failure on (?P<url>\S+): (?:None -- )?(?P<reason>.*)", re.DOTALL)
_CACHE_FOLDER = "~/.keras/models"
_MOST_CLASSES = 100_000
_ADD = re.compile(r"(.*_)?add(_\d+)?")  # as layers are called, and as Keras numbers them


def trained_network(named: NamedNetwork, alpha: float, resolution: int, weights: str) -> tf_keras.Model:
    """A network by name with trained weights, of as many classes as these were trained for.

    Args:
        named: which network.
        alpha: its width multiplier.
        resolution: height and width of the input, in pixels.
        weights: `imagenet`, or the path of a file that holds weights of the same network: HDF5 (`.h5`, `.hdf5`,
            `.weights.h5`) or `.keras`, weights only or with the network, which is not looked at.

    Raises:
        UserError: there are no such weights, they cannot be had, or are another network's.
    """
    if weights == IMAGENET:
        return _with_imagenet_weights(named, alpha, resolution)
    return _with_weights_of(Path(weights), named, alpha, resolution)


def take_over(network: tf_keras.Model, trained: tf_keras.Model, named: NamedNetwork) -> None:
    """Gives a network the weights of a trained one; the classifier keeps its own where the classes are not as many."""
    keeps_classifier = network.output_shape != trained.output_shape
    for layer in network.layers:
        if layer.weights and not (keeps_classifier and layer.name == named.classifier):
            layer.set_weights(trained.get_layer(layer.name).get_weights())


def _with_imagenet_weights(named: NamedNetwork, alpha: float, resolution: int) -> tf_keras.Model:
    if alpha not in named.imagenet_alphas:
        raise UserError(
            f"there are no ImageNet weights for {named.name} at --alpha={alpha:g}; it should be one of "
            f"{_listed(named.imagenet_alphas)}"
        )
    largest = max(named.imagenet_resolutions)
    if resolution not in named.imagenet_resolutions:
        logging.warning(
            "ImageNet weights of %s exist for inputs of %s pixels; for %d, those for %d are taken.",
            named.name,
            _listed(named.imagenet_resolutions),
            resolution,
            largest,
        )
        resolution = largest
    try:
        with redirect_stdout(sys.stderr):  # Keras draws a bar while it downloads
            return named.with_imagenet_weights(alpha, resolution)
    except Exception as error:  # Keras raises whatever its readers raise
        failed = _FAILED_DOWNLOAD.match(str(error))
        if failed is None:
            raise UserError(
                f"the ImageNet weights in {_CACHE_FOLDER} cannot be read ({one_line(error) or type(error).__name__}); "
                "delete the file, and it is downloaded anew"
            ) from error
        raise UserError(
            f"the ImageNet weights cannot be downloaded ({one_line(failed['reason'])}); download {failed['url']} where "
            f"there is a network, and put it into {_CACHE_FOLDER} here"
        ) from error


def _with_weights_of(path: Path, named: NamedNetwork, alpha: float, resolution: int) -> tf_keras.Model:
    _check_file(path)
    what = f"{path} does not hold weights of {named.name} at --alpha={alpha:g}"
    try:
        with _stored_layers(path) as layers:
            classes, adds = _stored_classes(layers), sum(1 for name in layers if _ADD.fullmatch(name))
        network = named.build(named.widths(alpha), resolution, classes)
        network.load_weights(str(path))
    except UserError:
        raise
    except Exception as error:  # h5py and Keras raise whatever they stumble over
        raise UserError(f"{what}: {one_line(error) or type(error).__name__}") from error
    own_adds = sum(1 for layer in network.layers if isinstance(layer, tf_keras.layers.Add))
    if adds > own_adds:
        raise UserError(
            f"{what}: its network has {adds} residual adds in place of {own_adds}, as tf_keras.applications builds "
            "narrow ones; save the whole network, and name it with --network"
        )
    return network


def _check_file(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise UserError(
            f"--weights={path} should be {IMAGENET}, or a file that ends in .h5, .hdf5, .keras or {_NEW_SUFFIX}"
        )
    if not path.is_file():
        raise UserError(f"there is no file {path}, as --weights names it")
    if path.suffix == ".keras" and zipfile.is_zipfile(path):
        read_config(path)  # sees that it is sound, and does not unpack to far more
    elif not h5py.is_hdf5(path):
        raise UserError(f"{path} holds no weights saved by tf_keras, or is damaged")


@contextmanager
def _stored_layers(path: Path) -> Iterator[h5py.Group]:
    """The group of HDF5 that holds a group for every layer."""
    archive = path.suffix == ".keras" and zipfile.is_zipfile(path)
    with h5py.File(io.BytesIO(_weights_in_archive(path)) if archive else path) as file:
        if "model_weights" in file or "layer_names" in file.attrs:
            if path.name.endswith(_NEW_SUFFIX):
                raise UserError(
                    f"{path} is of Keras' older format, whose name should not end in {_NEW_SUFFIX}: rename it"
                )
            yield file.get("model_weights", file)
        elif "layers" in file:
            if not archive and not path.name.endswith(_NEW_SUFFIX):
                raise UserError(f"{path} is of Keras' newer format, whose name should end in {_NEW_SUFFIX}: rename it")
            yield file["layers"]
        else:
            raise UserError(f"{path} is HDF5, but holds no weights saved by tf_keras")


def _weights_in_archive(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5")


def _stored_classes(layers: h5py.Group) -> int:
    """How many classes weights are of: as many as the only layer with a kernel and a bias has biases."""
    biases: list[int] = []

    def visit(_: str, group: h5py.Group | h5py.Dataset) -> None:
        if isinstance(group, h5py.Dataset):
            return
        shapes = [member.shape for member in group.values() if isinstance(member, h5py.Dataset)]
        if sorted(map(len, shapes))[:1] == [1] and len(shapes) == 2 and max(map(len, shapes)) > 1:
            biases.extend(shape[0] for shape in shapes if len(shape) == 1)

    layers.visititems(visit)
    if len(biases) != 1:
        raise ValueError(f"it has {len(biases)} layers with a bias in place of one, the classifier")
    if not 0 < biases[0] <= _MOST_CLASSES:
        raise ValueError(f"its classifier has {biases[0]} classes")
    return biases[0]


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
