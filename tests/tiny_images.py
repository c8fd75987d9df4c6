"""Data sets of images, as worker processes get them."""

import pickle
from functools import partial

import numpy as np
import tensorflow as tf

from netadapt_tf.training.datasets import epoch
from netadapt_tf.training.image_dataset import ImageDataset
from netadapt_tf.training.images import ImageSet


def examples(images: ImageSet, seed: int | None = None) -> tf.data.Dataset:
    """One epoch, image by image."""
    return images.batched(5, images.order(seed)).unbatch()


def assert_can_be_sent(images: ImageDataset) -> None:
    """Another process sees the same batches."""
    datasets = partial(images.datasets, 2, "tf")
    here, there = datasets(), pickle.loads(pickle.dumps(datasets))()
    for one, other in ((here.train, there.train), (here.holdout, there.holdout)):
        for (a, labels), (b, other_labels) in zip(epoch(one, 3), epoch(other, 3), strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(labels, other_labels)
