import gzip
import os

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.training import fashion_mnist
from netadapt_tf.training.data_names import AUGMENTATIONS
from netadapt_tf.training.image_dataset import load_image_dataset
from tests.tiny_images import assert_can_be_sent, examples
from tflite_bench.errors import UserError


def test_what_ships_is_balanced_and_whole():
    train_images, train_labels, test_images, test_labels = fashion_mnist.fashion_mnist_12k()
    assert train_images.shape == (10_000, 28, 28, 1)
    assert test_images.shape == (2_000, 28, 28, 1)
    assert list(np.bincount(train_labels)) == [1000] * 10
    assert list(np.bincount(test_labels)) == [200] * 10
    assert 70 < train_images.mean() < 76  # the whole set's is 72.9
    assert fashion_mnist.TWELVE_K.stat().st_size <= 7_000_000


def test_parts_do_not_overlap():
    data = load_image_dataset("fashion_mnist_12k", 32, holdout_images=300, train_images=1000, seed=0)
    assert (len(data.train), len(data.holdout), len(data.full_train), len(data.test)) == (700, 300, 1000, 2000)
    assert not set(data.train.indices) & set(data.holdout.indices)
    assert list(np.bincount(data.holdout.own_labels)) == [30] * 10
    assert list(np.bincount(data.train.own_labels)) == [70] * 10
    image, label = next(iter(examples(data.test)))
    assert image.shape == (32, 32, 1)
    assert image.dtype == tf.uint8
    assert 0 <= int(label) < data.classes == 10


@pytest.mark.parametrize(("train_images", "kept_back"), [(500, 100), (None, 2000)])
def test_unless_it_is_said_a_fifth_is_kept_back_and_2000_at_most(train_images, kept_back):
    data = load_image_dataset("fashion_mnist_12k", 32, holdout_images=None, train_images=train_images, seed=0)
    assert len(data.holdout) == kept_back


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "imagenet"}, "fashion_mnist_12k"),
        ({"name": "tfds:"}, "tfds:NAME"),
        ({"train_images": 20_000}, "10000 training images"),
        ({"holdout_images": 10_000}, "leave some"),
        ({"name": "folder:/nowhere"}, "no folder /nowhere"),
    ],
)
def test_what_cannot_be_is_explained(change, said):
    wanted = {"name": "fashion_mnist_12k", "resolution": 32, "holdout_images": 100, "train_images": None, "seed": 0}
    with pytest.raises(UserError) as error:
        load_image_dataset(**(wanted | change))
    assert said in str(error.value)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_other_processes_see_the_same_batches(augmentation):
    assert_can_be_sent(load_image_dataset("fashion_mnist_12k", 32, 4, 20, 0, augmentation))


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_fashion_mnist_may_be_augmented(augmentation):
    data = load_image_dataset("fashion_mnist_12k", 24, 100, 300, 0, augmentation)
    plain = load_image_dataset("fashion_mnist_12k", 24, 100, 300, 0)

    def epoch(images, seed=None):
        return np.concatenate([batch for batch, _ in images.batched(100, images.order(seed))])

    for part in ("holdout", "test"):
        same = np.array_equal(epoch(getattr(data, part)), epoch(getattr(plain, part)))
        assert same == (augmentation != "imagenet")
        assert list(getattr(data, part).own_labels) == list(getattr(plain, part).own_labels)
    assert np.array_equal(epoch(data.train, 1), epoch(plain.train, 1)) == (augmentation == "none")
    images, labels = next(iter(data.datasets(32, "tf").train(7)))
    assert (images.shape, labels.shape) == ((32, 24, 24, 3), (32,))
    assert list(labels.numpy()) == list(next(iter(plain.datasets(32, "tf").train(7)))[1].numpy())


def write_images(folder, count: int, value: int, suffix: str = ".png") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        image = np.full((10, 14, 3), value, np.uint8)
        image[0, 0] = number
        encode = tf.io.encode_png if suffix == ".png" else tf.io.encode_jpeg
        tf.io.write_file(str(folder / f"{number}{suffix}"), encode(image))


def test_folders_are_classes(tmp_path):
    write_images(tmp_path / "cats", 10, 40)
    write_images(tmp_path / "dogs" / "deeper", 10, 200, ".jpg")
    data = load_image_dataset(f"folder:{tmp_path}", 8, holdout_images=4, train_images=None, seed=0)
    assert (data.classes, len(data.full_train), len(data.test)) == (2, 16, 4)
    assert list(np.bincount(data.test.own_labels)) == [2, 2]
    for image, label in examples(data.train):
        assert image.shape == (8, 8, 3)
        assert abs(int(image.numpy()[4, 4, 0]) - (40, 200)[int(label)]) < 3


def test_folders_without_classes_are_refused(tmp_path):
    write_images(tmp_path / "only", 3, 0)
    with pytest.raises(UserError, match="at least two"):
        load_image_dataset(f"folder:{tmp_path}", 8, 1, None, 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds 0 images"):
        load_image_dataset(f"folder:{tmp_path}", 8, 1, None, 0)


def test_files_of_another_data_set_are_refused(tmp_path):
    for name, *_ in fashion_mnist._FILES:
        (tmp_path / name).write_bytes(gzip.compress(b"something else"))
    with pytest.raises(UserError, match="sha256"):
        fashion_mnist.fashion_mnist(tmp_path)


@pytest.mark.slow
def test_the_whole_set_when_debian_has_it():
    if not fashion_mnist._DEBIAN_FOLDER.exists() and "CI" not in os.environ:
        pytest.skip("dataset-fashion-mnist is not installed; .ci/run installs it")
    train_images, train_labels, test_images, test_labels = fashion_mnist.fashion_mnist()
    assert (len(train_images), len(train_labels), len(test_images), len(test_labels)) == (60_000,) * 2 + (10_000,) * 2
