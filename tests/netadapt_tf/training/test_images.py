from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from netadapt_tf.training.images import (
    balanced_sample,
    batches,
    image_set,
    network_input,
    shuffled_batches,
    stratified_sample,
)
from netadapt_tf.training.views import View
from tests.tiny_images import examples


def numbered(count: int = 40, classes: int = 4):
    """Images whose every pixel is their number."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    return image_set(images, np.arange(count) % classes, classes)


def numbers(dataset) -> list[int]:
    return [int(image[0, 0, 0]) for image, _ in dataset]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 2**31), st.data())
def test_samples_are_as_balanced_as_the_labels_allow(labels, seed, data):
    labels = np.array(labels)
    count = data.draw(st.integers(0, len(labels)))
    sample = balanced_sample(labels, count, seed)
    assert len(np.unique(sample)) == count
    drawn, there = np.bincount(labels[sample], minlength=5), np.bincount(labels, minlength=5)
    unexhausted = drawn[drawn < there]
    if unexhausted.size:
        assert drawn.max() - unexhausted.min() <= 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 2**31), st.data())
def test_stratified_samples_take_of_every_class_its_share(labels, seed, data):
    labels = np.array(labels)
    count = data.draw(st.integers(0, len(labels)))
    sample = stratified_sample(labels, count, seed)
    assert len(np.unique(sample)) == count
    drawn, there = np.bincount(labels[sample], minlength=5), np.bincount(labels, minlength=5)
    assert np.all(np.abs(drawn - there * count / len(labels)) <= 1)


def test_a_small_class_is_not_used_up_by_a_split():
    labels = np.array([0] * 90 + [1] * 10)
    first, rest = image_set(np.zeros((100, 2, 2, 1), np.uint8), labels, 2).split(20, seed=0)
    assert list(np.bincount(first.own_labels)) == [18, 2]
    assert list(np.bincount(rest.own_labels)) == [72, 8]


def test_split_is_by_seed_and_loses_nothing():
    images = numbered()
    first, rest = images.split(12, seed=1)
    assert sorted([*first.indices, *rest.indices]) == list(range(40))
    assert list(np.bincount(first.own_labels)) == [3, 3, 3, 3]
    assert list(first.indices) == list(images.split(12, seed=1)[0].indices)
    assert list(first.indices) != list(images.split(12, seed=2)[0].indices)


def test_in_order_or_shuffled_by_seed():
    images, _ = numbered().split(10, seed=0)
    assert numbers(examples(images)) == list(images.indices)
    shuffled = numbers(examples(images, seed=3))
    assert sorted(shuffled) == list(images.indices) != shuffled
    assert shuffled == numbers(examples(images, seed=3)) != numbers(examples(images, seed=4))


def test_in_memory_is_the_same_set():
    images, _ = numbered().split(10, seed=0)
    assert numbers(examples(images.in_memory())) == numbers(examples(images))
    assert list(images.in_memory().own_labels) == list(images.own_labels)


def test_batches_feed_a_network():
    images = numbered()
    sizes = [len(labels) for _, labels in batches(images, 16, "tf")]
    assert sizes == [16, 16, 8]
    pixels, labels = next(iter(shuffled_batches(images, 16, "tf")(0)))
    assert pixels.shape == (16, 4, 4, 3)
    assert pixels.dtype == tf.float32
    assert labels.dtype == tf.int64
    assert [len(labels) for _, labels in shuffled_batches(images, 16, "tf")(0)] == [16, 16]
    assert [len(labels) for _, labels in shuffled_batches(images, 100, "tf")(0)] == [40]


def test_shuffled_epochs_share_one_trace_and_show_what_examples_do():
    images = numbered().shown(View(4, mirrors=True))
    shuffled = shuffled_batches(images, 40, "none")
    with mock.patch.object(View, "mirrored", side_effect=View.mirrored, autospec=True) as traced:
        for seed in (3, 4):
            ((pixels, labels),) = shuffled(seed)
            expected = list(examples(images, seed))
            np.testing.assert_array_equal(pixels[..., :1], [image for image, _ in expected])
            np.testing.assert_array_equal(labels, [label for _, label in expected])
    assert traced.call_count == 3  # one by all shuffled epochs, one by each of the others


@pytest.mark.parametrize(
    ("preprocessing", "low", "high"),
    [("tf", -1, 1), ("none", 0, 255), ("torch", -2.2, 2.7), ("caffe", -124, 152)],
)
def test_ranges(preprocessing, low, high):
    black_and_white = tf.constant(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1) * np.ones((1, 2, 2, 1), np.uint8))
    values = network_input(black_and_white, preprocessing).numpy()
    assert values.shape == (2, 2, 2, 3)
    assert low <= values.min() < values.max() <= high
    assert values.min() < low + 0.1 * (high - low)
    assert values.max() > high - 0.15 * (high - low)
