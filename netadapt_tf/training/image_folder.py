"""Images in folders, one sub-folder per class."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from netadapt_tf.training.images import ImageSet, resized
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_TEST_SHARE = 0.2
_NAMED = 3
_CHECK_BATCH = 256


@dataclass(frozen=True)
class FolderImages(ImageSet):
    """Images that are read from their files when they are needed.

    Attributes:
        paths: of all images that `load` knows.
    """

    paths: tuple[str, ...]

    def in_memory(self) -> ImageSet:
        """As of any set; and every image has been decoded once, whether held or not, so that none fails in training.

        Raises:
            UserError: files that are no images; the message names them.
        """
        try:
            held = super().in_memory()
        except tf.errors.OpError as error:
            self._refuse_undecodable(error)
            raise
        if held is self:
            logging.info("%d images are too many to be held in memory; checking that each can be decoded.", len(self))
            self._refuse_undecodable()
        return held

    def _refuse_undecodable(self, cause: Exception | None = None) -> None:
        undecodable = self._undecodable()
        if len(undecodable):
            raise UserError(self._complaint(undecodable)) from cause

    def _undecodable(self) -> np.ndarray:
        """Indices of the files of this set that are no images, int64 [K]."""

        def looked_at(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return index, tf.reduce_max(self.load(index))  # what is not asked for would not be computed

        good = []
        with progress("checking images", len(self)) as bar:
            indices = tf.data.Dataset.from_tensor_slices(self.indices)
            each = indices.map(looked_at, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
            for batch, _ in each.batch(_CHECK_BATCH):
                good += batch.numpy().tolist()
                bar.update(len(batch))
        return np.setdiff1d(self.indices, good)

    def _complaint(self, undecodable: np.ndarray) -> str:
        """What to say about files that are no images."""
        named = [self.paths[index] for index in undecodable[:_NAMED]]
        more = len(undecodable) - _NAMED
        others = f" and {more} other{'s' * (more > 1)}" if more > 0 else ""
        try:
            self.load(tf.constant(undecodable[0]))
            reason = "though now it can"
        except tf.errors.OpError as error:
            reason = _words(error)
        if len(undecodable) == 1:
            return f"{named[0]} is no image that TensorFlow can decode ({reason}); mend or remove it"
        return (
            f"{len(undecodable)} files are no images that TensorFlow can decode: {', '.join(named)}{others} (of the "
            f"first: {reason}); mend or remove them"
        )


def load(folder: Path, resolution: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a folder: a fifth of each class, drawn by seed, is the test split.

    Args:
        folder: holds one sub-folder per class, in any depth images; classes are numbered in order of their names.
            Names that start with a dot are passed over, and links to folders below a class are not followed.
        resolution: height and width in pixels.
        seed: of the cut.

    Returns:
        Sets whose files are looked into by `in_memory`, not before.

    Raises:
        UserError: no such folder, one that cannot be read, fewer than two classes, or a class without images.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    try:
        paths, labels, classes = _listed(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read: {error.strerror or error}") from error
    names = tf.constant([os.fsencode(path) for path in paths])

    def load_image(index: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(names[index]), channels=3, expand_animations=False)
        image = resized(image, resolution)
        return tf.ensure_shape(image, (resolution, resolution, 3))

    images = FolderImages(load_image, np.array(labels, np.int64), np.arange(len(paths)), classes, tuple(paths))
    test, train = images.split(max(classes, round(_TEST_SHARE * len(paths))), seed)
    return train, test


def _listed(folder: Path) -> tuple[list[str], list[int], int]:
    """Paths and labels of all images, and the number of classes."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise UserError(f"{folder} should hold one sub-folder per class, at least two; it holds {len(classes)}")
    paths: list[str] = []
    labels: list[int] = []
    for label, class_folder in enumerate(classes):
        files = _files(class_folder)
        found = sorted(str(path) for path in files if path.suffix.lower() in _SUFFIXES)
        if len(found) < 2:
            other = sorted({path.suffix or path.name for path in files if path.suffix.lower() not in _SUFFIXES})
            unread = f"; what else is there is not read ({', '.join(other[:_NAMED])})" if other else ""
            raise UserError(
                f"{class_folder} holds {len(found)} images ({', '.join(_SUFFIXES)}); two are the least{unread}"
            )
        paths += found
        labels += [label] * len(found)
    return paths, labels, len(classes)


def _files(folder: Path) -> list[Path]:
    """All files below a folder, hidden ones left out.

    Raises:
        OSError: a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    files = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return files


def _words(error: tf.errors.OpError) -> str:
    """TensorFlow's own words, without the names of its nodes."""
    return " ".join(re.sub(r"\{\{.*?\}\}|\[(\[|Op:).*", "", error.message, flags=re.DOTALL).split()).rstrip(".")
