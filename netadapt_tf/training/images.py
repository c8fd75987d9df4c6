"""Sets of labelled images, drawn on by index, so that subsets and hold-out sets cost nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import tensorflow as tf
from absl import logging
from tf_keras.applications import imagenet_utils

from netadapt_tf.training.datasets import Shuffled
from netadapt_tf.training.held import Held, aligned
from netadapt_tf.training.originals import DecodedImages, Originals
from netadapt_tf.training.views import View
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

Order = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Which images, one after the other, their labels, and the draws of their views, each int64 [M]; or such tensors."""

_MAX_BYTES_IN_MEMORY = 1 << 31  # 10,000 hold-out images of 224 px take 1.5e9
_LOAD_BATCH = 256
_TEST_SHARE = 0.2


@dataclass(frozen=True)
class ImageSet:
    """Some of a data set's images, and what is shown of them.

    Attributes:
        originals: images and labels.
        indices: int64 [M], the images that belong to this set.
        view: what is shown of each.
    """

    originals: Originals
    indices: np.ndarray
    view: View

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.originals.classes

    @property
    def own_labels(self) -> np.ndarray:
        """Labels of this set's images, int64 [M]."""
        return self.originals.labels[self.indices]

    def shown(self, view: View) -> "ImageSet":
        """The same images, shown otherwise."""
        return replace(self, view=view)

    def split(self, count: int, seed: int) -> tuple["ImageSet", "ImageSet"]:
        """Two sets: `count` images drawn by seed, of every class its share, and the rest; both in the old order."""
        drawn = stratified_sample(self.own_labels, count, seed)
        rest = np.setdiff1d(np.arange(len(self)), drawn)
        return replace(self, indices=self.indices[drawn]), replace(self, indices=self.indices[rest])

    def balanced_part(self, count: int, seed: int) -> "ImageSet":
        """`count` images drawn by seed, as evenly spread over the classes as there are images."""
        return replace(self, indices=self.indices[balanced_sample(self.own_labels, count, seed)])

    def order(self, seed: int | None = None) -> Order:
        """One epoch: in the set's own order, or shuffled and with random draws by seed."""
        indices, draws = self.indices, np.zeros(len(self), np.int64)
        if seed is not None:
            generator = np.random.default_rng(seed)
            indices = generator.permutation(indices)
            draws = generator.integers(np.iinfo(np.int64).max, size=len(self))
        return indices, self.originals.labels[indices], draws

    def batched(self, size: int, order: Order, drop_remainder: bool = False) -> tf.data.Dataset:
        """The images of an `order`, so many at a time; what is done in parallel does not change what is shown.

        Images are mirrored by the batch, and gathered by the batch where they lie in memory as large as they are shown:
        one by one either takes as long as a sixth of a small network's training step.

        Returns:
            A data set of (uint8 [B, R, R, 1 or 3], int64 [B]).
        """
        turns = tf.data.Dataset.from_tensor_slices(order)
        in_parallel = partial(tf.data.Dataset.map, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

        def find(index: tf.Tensor, label: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return self.originals.find(index), label, draw

        def look(found: tf.Tensor, label: tf.Tensor, draw: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return self.view.upright(partial(self.originals.cut, found), draw), label, draw

        if self._is_held():
            upright = in_parallel(turns.batch(size, drop_remainder), find)
        else:
            upright = in_parallel(turns.map(find), look).batch(size, drop_remainder)
        return upright.map(lambda images, labels, draws: (self.view.mirrored(images, draws), labels))

    def in_memory(self) -> "ImageSet":
        """The same set with its images held in memory, where they take less than 2 GiB; else they are only looked at.

        They are held as they are shown; for cuts at random at their own size. Each has been decoded either way, so
        that none fails in training.

        Raises:
            UserError: images that cannot be decoded.
        """
        if self._is_held():
            return self
        size = (self.view.resolution, self.view.resolution, self.originals.channels)
        if self.view.cuts_at_random:
            originals = self.originals.held(self.indices, _MAX_BYTES_IN_MEMORY)
            if originals is not None:
                return replace(self, originals=originals)
        elif len(self) * int(np.prod(size)) <= _MAX_BYTES_IN_MEMORY:
            return self._read(size)
        logging.info("%d images are too many to be held in memory.", len(self))
        self.originals.check(self.indices)
        return self

    def _read(self, size: tuple[int, int, int]) -> "ImageSet":
        """The same set with its images in memory, R x R x C as they are shown."""
        images = aligned((len(self), *size))
        try:
            with progress("reading images", len(self)) as bar:
                for batch, _ in self.batched(_LOAD_BATCH, self.order()):
                    images[bar.n : bar.n + len(batch)] = batch  # [B, R, R, 1 or 3]
                    bar.n += len(batch)
                    bar.refresh()
        except tf.errors.OpError as error:
            self.originals.check(self.indices, error)
            raise
        return image_set(images, self.own_labels, self.classes, replace(self.view, window=None))

    def _is_held(self) -> bool:
        if not isinstance(self.originals, DecodedImages) or self.view.window is not None:
            return False
        return self.originals.images.shape[1:3] == (self.view.resolution, self.view.resolution)


@dataclass(frozen=True)
class Splits:
    """A data set's images as it splits them itself.

    Attributes:
        train: to learn from.
        test: for the summary.
        validation: where there is one besides the test split.
    """

    train: ImageSet
    test: ImageSet
    validation: ImageSet | None = None


@dataclass(frozen=True)
class Source:
    """A data set that was found; none of its images has been looked into, nor need they be listed yet.

    Attributes:
        name: for messages.
        classes: number of classes.
        splits: (resolution in pixels, seed) -> its images; a test split that it lacks is cut by seed. It raises a
            `UserError` for images that are not there or have no label.
    """

    name: str
    classes: int
    splits: Callable[[int, int], Splits]


def cut_test(images: ImageSet, what: str, seed: int) -> Splits:
    """A fifth of the images, drawn by seed, of every class its share, is the test split.

    Raises:
        UserError: there are too few.
    """
    count = max(images.classes, round(_TEST_SHARE * len(images)))
    if count >= len(images):
        raise UserError(f"{what} holds {len(images)} images of {images.classes} classes: too few for a test split")
    test, train = images.split(count, seed)
    return Splits(train, test)


def image_set(images: np.ndarray, labels: np.ndarray, classes: int, view: View | None = None) -> ImageSet:
    """A set of images that are in memory, uint8 [N, H, W, 1 or 3]; shown as they are, unless said otherwise."""
    originals = DecodedImages(labels.astype(np.int64), classes, Held(images))
    return ImageSet(originals, np.arange(len(labels)), view or View(images.shape[1]))


def batches(images: ImageSet, batch_size: int, preprocessing: str) -> tf.data.Dataset:
    """What a network is judged on: one pass in order; the last batch may be smaller.

    Args:
        images: where the batches come from.
        batch_size: images a batch.
        preprocessing: `tf`, `torch`, `caffe` or `none`, as `tf_keras.applications` names the ranges.

    Returns:
        A data set of (float32 [B, R, R, 3], int64 [B]).
    """
    return _fed(images.batched(min(batch_size, len(images)), images.order()), preprocessing)


def shuffled_batches(images: ImageSet, batch_size: int, preprocessing: str) -> Shuffled:
    """What a network is trained on: one shuffled epoch by seed, in batches of the same size.

    Every proposal and every epoch needs another one: they share one trace, where building each takes 0.1 s and more.

    Args:
        images: where the batches come from.
        batch_size: images a batch, if there are as many.
        preprocessing: see `batches`.

    Returns:
        seed -> a data set of (float32 [B, R, R, 3], int64 [B]).
    """
    each = tf.TensorSpec([len(images)], tf.int64)

    @partial(tf.function, input_signature=[each, each, each], autograph=False)
    def epoch(*order: tf.Tensor) -> tf.data.Dataset:
        return _fed(images.batched(min(batch_size, len(images)), order, drop_remainder=True), preprocessing)

    return lambda seed: epoch(*images.order(seed))


def _fed(batched: tf.data.Dataset, preprocessing: str) -> tf.data.Dataset:
    return batched.map(
        lambda pixels, labels: (network_input(pixels, preprocessing), labels), num_parallel_calls=tf.data.AUTOTUNE
    ).prefetch(2)


def network_input(pixels: tf.Tensor, preprocessing: str) -> tf.Tensor:
    """uint8 [B, R, R, 1 or 3] -> float32 [B, R, R, 3] in the network's range; grey is repeated."""
    values = tf.cast(pixels, tf.float32)
    if values.shape[-1] == 1:
        values = tf.repeat(values, 3, axis=-1)
    return values if preprocessing == "none" else imagenet_utils.preprocess_input(values, mode=preprocessing)


def balanced_sample(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Positions of `count` labels, ascending, as evenly spread over the classes as the labels allow.

    Classes take turns in a random order, each giving its examples in a random order.
    """
    generator = np.random.default_rng(seed)
    turns = _random_turns(labels, generator)
    return np.sort(np.lexsort((generator.permutation(len(labels)), turns))[:count])


def stratified_sample(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Positions of `count` labels, ascending, of every class the same share as nearly as whole examples allow.

    Each class gives its share rounded down; the examples still missing come from the classes of the largest remainders.
    """
    generator = np.random.default_rng(seed)
    turns = _random_turns(labels, generator)
    shares = np.bincount(labels) * (count / max(1, len(labels)))  # [classes]
    quotas = np.floor(shares).astype(np.int64)
    quotas[np.argsort(quotas - shares, kind="stable")[: count - quotas.sum()]] += 1
    return np.flatnonzero(turns < quotas[labels])


def _random_turns(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """When, within its class, an example is drawn."""
    turns = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        turns[generator.permutation(of_class)] = np.arange(len(of_class))
    return turns
