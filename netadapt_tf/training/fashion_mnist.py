"""Fashion-MNIST (Xiao et al., 2017; MIT licence, Zalando SE): whole, or the 12,000 images that ship here."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import tf_keras

from tflite_bench.errors import UserError

CLASSES = 10
TWELVE_K = Path(__file__).parent.parent / "data" / "fashion_mnist_12k" / "fashion_mnist_12k.npz"

_DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FILES = (  # name, bytes before the values, shape of one value, start of the sha256 of the decompressed file
    ("train-images-idx3-ubyte.gz", 16, (28, 28, 1), "c59f468a"),
    ("train-labels-idx1-ubyte.gz", 8, (), "bad3541b"),
    ("t10k-images-idx3-ubyte.gz", 16, (28, 28, 1), "5b4141f0"),
    ("t10k-labels-idx1-ubyte.gz", 8, (), "0402a96d"),
)

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Training images, training labels, test images, test labels; images are uint8 [N, 28, 28, 1]."""


def fashion_mnist_12k() -> Arrays:
    """The 10,000 training and 2,000 test images that travel with the package."""
    with np.load(TWELVE_K) as arrays:
        return arrays["train_images"], arrays["train_labels"], arrays["test_images"], arrays["test_labels"]


def fashion_mnist(debian_folder: Path = _DEBIAN_FOLDER) -> Arrays:
    """All 70,000: from Debian's `dataset-fashion-mnist`, else the Keras cache, else downloaded by Keras.

    Raises:
        UserError: the files cannot be had, or are not Fashion-MNIST.
    """
    keras_folder = Path.home() / ".keras" / "datasets" / "fashion-mnist"
    for folder in (debian_folder, keras_folder):
        if all((folder / name).is_file() for name, *_ in _FILES):
            return _read(folder)
    try:
        tf_keras.datasets.fashion_mnist.load_data()
    except Exception as error:  # whatever the downloader raises
        raise UserError(
            "fashion_mnist is not on this machine and cannot be downloaded "
            f"({error}); on Debian `apt-get install dataset-fashion-mnist` brings it, or use fashion_mnist_12k"
        ) from error
    return _read(keras_folder)


def _read(folder: Path) -> Arrays:
    arrays = []
    for name, offset, shape, digest in _FILES:
        try:
            content = gzip.decompress((folder / name).read_bytes())
        except (OSError, EOFError) as error:
            raise UserError(f"{folder / name} cannot be read: {error}") from error
        found = hashlib.sha256(content).hexdigest()
        if not found.startswith(digest):
            raise UserError(f"{folder / name} is not the file of Fashion-MNIST: sha256 {found[:8]}, not {digest}")
        arrays.append(np.frombuffer(content, np.uint8, offset=offset).reshape(-1, *shape))
    train_images, train_labels, test_images, test_labels = arrays
    return train_images, train_labels, test_images, test_labels
