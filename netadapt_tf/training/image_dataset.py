"""Labelled images by the data set's name, cut into the parts that an adaptation needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from netadapt_tf.training import fashion_mnist, image_folder
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.images import ImageSet, batches, image_set, resized
from tflite_bench.errors import UserError

EVALUATION_BATCH = 256
NAMES = "fashion_mnist_12k, fashion_mnist or folder:PATH (one sub-folder per class)"

_ARRAYS: dict[str, Callable[[], fashion_mnist.Arrays]] = {
    "fashion_mnist_12k": fashion_mnist.fashion_mnist_12k,
    "fashion_mnist": fashion_mnist.fashion_mnist,
}


@dataclass(frozen=True)
class ImageDataset:
    """The parts of a data set of labelled images.

    Attributes:
        train: the training set less the hold-out set; pre-training and short-term fine-tunes see only this.
        holdout: ranks proposals, and nothing else.
        full_train: both together, for the long-term fine-tune.
        test: never looked at while searching.
    """

    train: ImageSet
    holdout: ImageSet
    full_train: ImageSet
    test: ImageSet

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.train.classes

    def datasets(self, batch_size: int, preprocessing: str) -> Datasets:
        """The parts as batches (float32 [B, R, R, 3], int64 [B]).

        Args:
            batch_size: images of a training batch.
            preprocessing: range of the network's input, see `images.network_input`.
        """

        def once(images: ImageSet) -> tf.data.Dataset:
            return batches(images, EVALUATION_BATCH, preprocessing)

        return Datasets(
            train=lambda seed: batches(self.train, batch_size, preprocessing, seed),
            holdout=once(self.holdout),
            test=once(self.test),
            full_train=lambda seed: batches(self.full_train, batch_size, preprocessing, seed),
        )


def load_image_dataset(
    name: str, resolution: int, holdout_images: int, train_images: int | None, seed: int
) -> ImageDataset:
    """Loads a data set at a resolution.

    Args:
        name: one of `NAMES`.
        resolution: height and width in pixels; images are resized bilinearly.
        holdout_images: size of the hold-out set, cut from the training set by seed, of every class its share.
        train_images: size of the training set, hold-out set included: a balanced part by seed; None for all.
        seed: of both cuts.

    Raises:
        UserError: an unknown name, data that cannot be had, or sizes that do not fit it.
    """
    if name in _ARRAYS:
        train_pixels, train_labels, test_pixels, test_labels = _ARRAYS[name]()
        train = _from_array(train_pixels, train_labels, resolution)
        test = _from_array(test_pixels, test_labels, resolution)
    elif name.startswith("folder:"):
        train, test = image_folder.load(Path(name.removeprefix("folder:")), resolution, seed)
    else:
        raise UserError(f"unknown data set {name!r}; it should be {NAMES}")
    if train_images is not None:
        if not 0 < train_images <= len(train):
            raise UserError(f"--train_images={train_images}: {name} has {len(train)} training images")
        train = train.balanced_part(train_images, seed)
    if not 0 < holdout_images < len(train):
        raise UserError(f"--holdout_images={holdout_images} should leave some of the {len(train)} training images")
    full_train = train.in_memory()
    holdout, rest = full_train.split(holdout_images, seed)
    return ImageDataset(train=rest, holdout=holdout, full_train=full_train, test=test.in_memory())


def _from_array(images: np.ndarray, labels: np.ndarray, resolution: int) -> ImageSet:
    source = image_set(images, labels, fashion_mnist.CLASSES)
    return ImageSet(
        lambda index: resized(source.load(index), resolution), source.labels, source.indices, source.classes
    )
