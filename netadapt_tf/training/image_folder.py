"""Images in folders, one sub-folder per class."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from netadapt_tf.training.images import ImageSet, resized
from tflite_bench.errors import UserError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_TEST_SHARE = 0.2


def load(folder: Path, resolution: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a folder: a fifth of each class, drawn by seed, is the test split.

    Args:
        folder: holds one sub-folder per class, in any depth images; classes are numbered in order of their names.
        resolution: height and width in pixels.
        seed: of the cut.

    Raises:
        UserError: no such folder, fewer than two classes, or a class without images.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise UserError(f"{folder} should hold one sub-folder per class, at least two; it holds {len(classes)}")
    paths: list[str] = []
    labels: list[int] = []
    for label, class_folder in enumerate(classes):
        found = sorted(str(path) for path in class_folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
        if len(found) < 2:
            raise UserError(f"{class_folder} holds {len(found)} images ({', '.join(_SUFFIXES)}); two are the least")
        paths += found
        labels += [label] * len(found)
    all_paths = tf.constant(paths)

    def load_image(index: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(all_paths[index]), channels=3, expand_animations=False)
        image = resized(image, resolution)
        return tf.ensure_shape(image, (resolution, resolution, 3))

    images = ImageSet(load_image, np.array(labels, np.int64), np.arange(len(paths)), len(classes))
    test, train = images.split(max(len(classes), round(_TEST_SHARE * len(paths))), seed)
    return train, test
