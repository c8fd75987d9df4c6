"""Images in folders, one sub-folder per class; in one folder, or in one for each split."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from netadapt_tf.training.images import ImageSet, Source, Splits, cut_test
from netadapt_tf.training.originals import EncodedImages
from netadapt_tf.training.views import View
from netadapt_tf.wording import NAMED, some
from tflite_bench.errors import UserError

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_TRAIN, _TEST, _VALIDATION = "train", "test", ("validation", "val")


def find(folder: Path) -> Source:
    """The classes of a folder, and where their images will be looked for.

    A folder that holds `train` and one of `validation`, `val` and `test` holds splits: `test` is the test split, and
    `validation` (or `val`) is kept apart; without `test` it is the test split. A `test` folder without sub-folders, as
    ImageNet has one, is without labels and passed over. Of any other folder a fifth of each class, drawn by seed, is
    the test split.

    Args:
        folder: holds one sub-folder per class (or splits that do), in any depth images; classes are numbered in order
            of their names. Names that start with a dot are passed over, and links to folders below a class are not
            followed.

    Returns:
        A source whose `splits` lists the files; they are looked into by `in_memory`, not before.

    Raises:
        UserError: no such folder, one that cannot be read, fewer than two classes, splits of other classes. `splits`
            raises it for a class without images.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    with _reading(folder):
        splits = _split_folders(folder) or {_TRAIN: folder}
        classes = {name: _folders(path) for name, path in splits.items()}
        for name in splits:
            _check_classes(splits[_TRAIN], classes[_TRAIN], splits[name], classes[name])
    count = len(classes[_TRAIN])
    if count < 2:
        raise UserError(f"{splits[_TRAIN]} should hold one sub-folder per class, at least two; it holds {count}")

    def images_of(resolution: int, seed: int) -> Splits:
        least = 2 if len(splits) == 1 else 1
        with _reading(folder):
            images = {name: _images(classes[name], resolution, least) for name in splits}
        if len(splits) == 1:
            return cut_test(images[_TRAIN], str(folder), seed)
        held_back = [images[name] for name in (_TEST, *_VALIDATION) if name in images]
        return Splits(images[_TRAIN], *held_back)

    return Source(f"folder:{folder}", count, images_of)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """What cannot be read inside is the user's to mend."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read: {error.strerror or error}") from error


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folders of the splits by name, `train` among them; empty where the sub-folders are classes.

    Raises:
        UserError: the sub-folders are neither.
    """
    names = [path.name for path in _folders(folder)]
    splits = {name: folder / name for name in names if name in (_TRAIN, _TEST, *_VALIDATION)}
    both = [name for name in _VALIDATION if name in splits]
    if len(both) > 1:
        raise UserError(f"{folder} holds {both[0]} and {both[1]}; one of them should be the validation split")
    if _TRAIN not in splits or len(splits) == 1:
        if splits and len(splits) == len(names):
            raise UserError(
                f"{folder} holds {' and '.join(splits)} alone; {_TRAIN} and one of {', '.join((*_VALIDATION, _TEST))} "
                "are needed, or one sub-folder per class"
            )
        return {}
    other = [name for name in names if name not in splits]
    if other:
        raise UserError(
            f"{folder} holds {' and '.join(splits)}, which are splits, and {some(other)} besides; keep either splits "
            "or classes in it"
        )
    if both and _TEST in splits and not _folders(splits[_TEST]):
        logging.info("%s has no sub-folder per class, so no labels; it is passed over.", splits.pop(_TEST))
    return splits


def _check_classes(train: Path, wanted: Sequence[Path], other: Path, found: Sequence[Path]) -> None:
    """Sees that two splits have the same classes."""
    train_names, names = {path.name for path in wanted}, {path.name for path in found}
    differences = [
        f"only {folder} has {some(sorted(only))}"
        for folder, only in ((train, train_names - names), (other, names - train_names))
        if only
    ]
    if differences:
        raise UserError(f"the splits should have the same classes; {', and '.join(differences)}")


def _images(classes: Sequence[Path], resolution: int, least: int) -> ImageSet:
    """All images of the classes, each of which has at least so many."""
    paths: list[str] = []
    labels: list[int] = []
    for label, class_folder in enumerate(classes):
        files = _files(class_folder)
        found = sorted(str(path) for path in files if path.suffix.lower() in _SUFFIXES)
        if len(found) < least:
            other = sorted({path.suffix or path.name for path in files if path.suffix.lower() not in _SUFFIXES})
            unread = f"; what else is there is not read ({', '.join(other[:NAMED])})" if other else ""
            raise UserError(
                f"{class_folder} holds {len(found)} images ({', '.join(_SUFFIXES)}); "
                f"{'two are' if least == 2 else 'one is'} the least{unread}"
            )
        paths += found
        labels += [label] * len(found)
    names = tf.constant([os.fsencode(path) for path in paths])
    originals = EncodedImages(
        np.array(labels, np.int64), len(classes), partial(tf.gather, names), tf.io.read_file, paths.__getitem__
    )
    return ImageSet(originals, np.arange(len(paths)), View(resolution))


def _folders(folder: Path) -> list[Path]:
    """The sub-folders in order of their names, hidden ones left out."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


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
