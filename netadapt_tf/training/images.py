"""Labelled images, drawn on by index, so that subsets and hold-out sets cost nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from tf_keras.applications import imagenet_utils

from tflite_bench.progress import progress

_MAX_BYTES_IN_MEMORY = 1 << 30
_LOAD_BATCH = 256


@dataclass(frozen=True)
class ImageSet:
    """Images and their labels.

    Attributes:
        load: index (int64 scalar tensor) -> image, uint8 [R, R, 1 or 3].
        labels: int64 [N], of all images that `load` knows.
        indices: int64 [M], the images that belong to this set.
        classes: number of classes.
    """

    load: Callable[[tf.Tensor], tf.Tensor]
    labels: np.ndarray
    indices: np.ndarray
    classes: int

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def own_labels(self) -> np.ndarray:
        """Labels of this set's images, int64 [M]."""
        return self.labels[self.indices]

    def split(self, count: int, seed: int) -> tuple["ImageSet", "ImageSet"]:
        """Two sets: `count` images drawn by seed, of every class its share, and the rest; both in the old order."""
        drawn = stratified_sample(self.own_labels, count, seed)
        rest = np.setdiff1d(np.arange(len(self)), drawn)
        return replace(self, indices=self.indices[drawn]), replace(self, indices=self.indices[rest])

    def balanced_part(self, count: int, seed: int) -> "ImageSet":
        """`count` images drawn by seed, as evenly spread over the classes as there are images."""
        return replace(self, indices=self.indices[balanced_sample(self.own_labels, count, seed)])

    def examples(self, seed: int | None = None) -> tf.data.Dataset:
        """The images in order, or in a random order by seed, another one at each repetition.

        Returns:
            A data set of (uint8 [R, R, 1 or 3], int64 []).
        """
        labels = tf.constant(self.labels)
        order = tf.data.Dataset.from_tensor_slices(self.indices)
        if seed is not None:
            order = order.shuffle(len(self), seed=seed, reshuffle_each_iteration=True)
        return order.map(
            lambda index: (self.load(index), labels[index]), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def in_memory(self) -> "ImageSet":
        """The same set with its images decoded once, where they take less than 1 GiB; else itself."""
        image = self.load(tf.constant(self.indices[0]))
        if len(self) * int(tf.size(image)) > _MAX_BYTES_IN_MEMORY:
            return self
        images = np.empty((len(self), *image.shape), np.uint8)
        with progress("reading images", len(self)) as bar:
            for batch, _ in self.examples().batch(_LOAD_BATCH):
                images[bar.n : bar.n + len(batch)] = batch  # [B, R, R, 1 or 3]
                bar.n += len(batch)
                bar.refresh()
        return image_set(images, self.own_labels, self.classes)


def image_set(images: np.ndarray, labels: np.ndarray, classes: int) -> ImageSet:
    """A set of images that are in memory, uint8 [N, R, R, 1 or 3]."""
    held = tf.constant(images)
    return ImageSet(lambda index: held[index], labels.astype(np.int64), np.arange(len(labels)), classes)


def resized(image: tf.Tensor, resolution: int) -> tf.Tensor:
    """Bilinear, uint8 [H, W, C] -> uint8 [resolution, resolution, C]."""
    image = tf.image.resize(image, (resolution, resolution), method="bilinear")
    return tf.cast(tf.round(image), tf.uint8)


def batches(images: ImageSet, batch_size: int, preprocessing: str, seed: int | None = None) -> tf.data.Dataset:
    """What a network is fed.

    Args:
        images: where the batches come from.
        batch_size: images a batch, if there are as many; without a seed the last batch may be smaller.
        preprocessing: `tf`, `torch`, `caffe` or `none`, as `tf_keras.applications` names the ranges.
        seed: of a shuffled epoch for training; None for one pass in order.

    Returns:
        A data set of (float32 [B, R, R, 3], int64 [B]).
    """
    batched = images.examples(seed).batch(min(batch_size, len(images)), drop_remainder=seed is not None)
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
