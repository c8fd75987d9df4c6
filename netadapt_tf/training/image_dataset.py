"""Labelled images by the data set's name, cut into the parts that an adaptation needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from netadapt_tf.training import fashion_mnist, image_folder, tfds_images
from netadapt_tf.training.data_names import DATASETS, HOLDOUT_IMAGES, HOLDOUT_SHARE
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.images import ImageSet, Source, Splits, batches, image_set, shuffled_batches
from netadapt_tf.training.views import View, views
from tflite_bench.errors import UserError

EVALUATION_BATCH = 256

_ARRAYS: dict[str, Callable[[], fashion_mnist.Arrays]] = {
    "fashion_mnist_12k": fashion_mnist.fashion_mnist_12k,
    "fashion_mnist": fashion_mnist.fashion_mnist,
}


@dataclass(frozen=True)
class ImageDataset:
    """The parts of a data set of labelled images.

    Attributes:
        train: the training set less the hold-out set; pre-training and the search see only this.
        holdout: ranks proposals, and nothing else.
        full_train: for the long-term fine-tune: `train`, and the hold-out images that were cut from it.
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

        Bound to its arguments (`functools.partial`) it can be sent to other processes, the images with it.

        Args:
            batch_size: images of a training batch.
            preprocessing: range of the network's input, see `images.network_input`.
        """

        def once(images: ImageSet) -> tf.data.Dataset:
            return batches(images, EVALUATION_BATCH, preprocessing)

        return Datasets(
            train=shuffled_batches(self.train, batch_size, preprocessing),
            holdout=once(self.holdout),
            test=once(self.test),
            full_train=shuffled_batches(self.full_train, batch_size, preprocessing),
        )


def find_images(name: str) -> Source:
    """A data set by its name; its classes are known at once, its images are decoded by `load_images`.

    Args:
        name: one of `DATASETS`.

    Raises:
        UserError: an unknown name, or data that cannot be had.
    """
    if name in _ARRAYS:
        return Source(name, fashion_mnist.CLASSES, lambda resolution, _: _in_arrays(_ARRAYS[name](), resolution))
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return image_folder.find(Path(rest))
    if kind == "tfds" and rest:
        return tfds_images.find(rest)
    raise UserError(f"unknown data set {name!r}; it should be {DATASETS}")


def load_images(
    source: Source,
    resolution: int,
    holdout_images: int | None,
    train_images: int | None,
    seed: int,
    augmentation: str = "none",
) -> ImageDataset:
    """Reads and decodes the images of a data set, at a resolution.

    The hold-out set is cut from the training set by seed, of every class its share; where the data set has a validation
    split besides its test split, it is that split, or so many images of it, and the training set stays whole.

    Args:
        source: from `find_images`.
        resolution: height and width in pixels; images are resized bilinearly.
        holdout_images: size of the hold-out set; None for `HOLDOUT_IMAGES`, and at most `HOLDOUT_SHARE` of the training
            set, or the validation split where that is smaller.
        train_images: size of the training set, a hold-out set that is cut from it included: a balanced part by seed;
            None for all.
        seed: of all cuts.
        augmentation: one of `AUGMENTATIONS`, see `views.views`.

    Raises:
        UserError: data that cannot be had or decoded, or sizes that do not fit it.
    """
    splits = source.splits(resolution, seed)
    training, evaluation = views(augmentation, resolution)
    train = splits.train
    if train_images is not None:
        if not 0 < train_images <= len(train):
            raise UserError(f"--train_images={train_images}: {source.name} has {len(train)} training images")
        train = train.balanced_part(train_images, seed)
    count = min(HOLDOUT_IMAGES, int(HOLDOUT_SHARE * len(train))) if holdout_images is None else holdout_images
    if splits.validation is None and not 0 < count < len(train):
        raise UserError(f"--holdout_images={count} should leave some of the {len(train)} training images; give fewer")
    if splits.validation is not None:
        holdout = _holdout_of(splits.validation, holdout_images, source.name, seed)
        rest = full_train = train.shown(training).in_memory()
    else:
        full_train = train.shown(training).in_memory()
        holdout, rest = full_train.split(count, seed)
    return ImageDataset(
        train=rest,
        holdout=holdout.shown(evaluation).in_memory(),
        full_train=full_train,
        test=splits.test.shown(evaluation).in_memory(),
    )


def load_image_dataset(
    name: str,
    resolution: int,
    holdout_images: int | None,
    train_images: int | None,
    seed: int,
    augmentation: str = "none",
) -> ImageDataset:
    """`find_images` and `load_images` in one, where nothing has to be judged between them."""
    return load_images(find_images(name), resolution, holdout_images, train_images, seed, augmentation)


def _in_arrays(arrays: fashion_mnist.Arrays, resolution: int) -> Splits:
    train_pixels, train_labels, test_pixels, test_labels = arrays
    view = View(resolution)
    return Splits(
        image_set(train_pixels, train_labels, fashion_mnist.CLASSES, view),
        image_set(test_pixels, test_labels, fashion_mnist.CLASSES, view),
    )


def _holdout_of(validation: ImageSet, holdout_images: int | None, name: str, seed: int) -> ImageSet:
    """The validation split or a part of it: of every class its share."""
    count = min(HOLDOUT_IMAGES, len(validation)) if holdout_images is None else holdout_images
    if not 0 < count <= len(validation):
        raise UserError(
            f"--holdout_images={count}: they are taken from the validation split of {name}, which has "
            f"{len(validation)} images"
        )
    return validation if count == len(validation) else validation.split(count, seed)[0]
