from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.training.data_names import AUGMENTATIONS
from netadapt_tf.training.images import ImageSet, image_set
from netadapt_tf.training.originals import EncodedImages
from netadapt_tf.training.views import central_window, random_window, resized, views
from tests.tiny_images import examples

DRAWS = range(200)
HEIGHT, WIDTH = 90, 120


def windows(height: int, width: int) -> np.ndarray:
    return np.array([random_window(tf.constant(height), tf.constant(width), tf.constant(d, tf.int64)) for d in DRAWS])


def test_random_windows_are_of_the_usual_sizes():
    top, left, height, width = windows(HEIGHT, WIDTH).T
    assert min(top.min(), left.min()) >= 0
    assert (top + height).max() <= HEIGHT
    assert (left + width).max() <= WIDTH
    area, ratio = height * width / (HEIGHT * WIDTH), width / height
    assert 0.07 < area.min() < 0.2
    assert 0.7 < area.max() <= 1
    assert 0.73 < ratio.min() < 0.85
    assert 1.2 < ratio.max() < 1.37
    assert len(set(zip(top, left, height, width, strict=True))) > 190


def test_an_image_too_odd_for_a_window_is_shown_whole():
    assert {tuple(window) for window in windows(1, 50)} == {(0, 0, 1, 50)}


@pytest.mark.parametrize(
    ("size", "window"), [((256, 256), (16, 16, 224, 224)), ((320, 640), (20, 180, 280, 280)), ((1, 9), (0, 4, 1, 1))]
)
def test_the_centre_is_that_of_the_resized_image(size, window):
    assert tuple(central_window(*map(tf.constant, size)).numpy()) == window


def test_the_centre_shows_what_resizing_first_would():
    rows, columns = np.mgrid[:192, :256]
    image = np.stack([rows, columns, rows // 2 + columns // 3], -1).astype(np.uint8)
    _, evaluation = views("imagenet", 56)
    shown = next(iter(examples(image_set(image[None], np.zeros(1, np.int64), 2, evaluation))))[0]
    shorter_side_64 = tf.cast(tf.round(tf.image.resize(image, (64, 85))), tf.uint8).numpy()
    first_resized = shorter_side_64[4:60, 14:70]
    assert np.abs(shown.numpy().astype(int) - first_resized).max() <= 3


def photos() -> tuple[ImageSet, np.ndarray]:
    """Twelve images in two formats; the first channel tells which image it is, the others where a pixel was."""
    images = np.zeros((12, 40, 60, 3), np.uint8)
    images[..., 0] = 20 * np.arange(12)[:, None, None]
    images[..., 1] = 4 * np.arange(40)[:, None]
    images[..., 2] = 4 * np.arange(60)
    encoders = (
        tf.io.encode_png,
        lambda image: tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False),
    )
    encoded = tf.constant([encoders[number % 2](image).numpy() for number, image in enumerate(images)])
    originals = EncodedImages(np.arange(12) % 2, 2, lambda index: encoded[index], tf.identity, str)
    return ImageSet(originals, np.arange(12), views("none", 20)[0]), images


def shown(images: ImageSet, seed: int, epochs: int = 1, threads: int | None = None) -> np.ndarray:
    options = tf.data.Options()
    if threads:
        options.threading.private_threadpool_size = threads
    return np.array(
        [image for number in range(epochs) for image, _ in examples(images, seed + number).with_options(options)]
    )


@pytest.mark.parametrize("augmentation", ["flip", "imagenet"])
def test_what_is_random_follows_from_the_seed(augmentation):
    images = photos()[0].shown(views(augmentation, 20)[0]).in_memory()
    twice = shown(images, 3, epochs=2)
    np.testing.assert_array_equal(twice, shown(images, 3, epochs=2, threads=1))
    np.testing.assert_array_equal(twice, shown(images, 3, epochs=2, threads=7))

    def by_number(epoch):
        return epoch[np.argsort(epoch[:, :, :, 0].mean((1, 2)))]

    assert not np.array_equal(by_number(twice[:12]), by_number(shown(images, 4)))
    differing = (by_number(twice[:12]) != by_number(twice[12:])).any((1, 2, 3))
    assert 0 < differing.mean() < 1 if augmentation == "flip" else differing.all()


def test_flipping_is_all_that_flip_does_and_to_half_of_the_images():
    whole = photos()[0]
    plain = np.array([image for image, _ in examples(whole)])
    pixels = shown(whole.shown(views("flip", 20)[0]).in_memory(), 0, epochs=20)
    mirrored = 0
    for image in pixels:
        original = plain[np.argmin(np.abs(plain[:, 0, 0, 0].astype(int) - image[0, 0, 0]))]
        backwards = np.array_equal(image, original[:, ::-1])
        assert backwards or np.array_equal(image, original)
        mirrored += backwards
    assert 0.35 < mirrored / len(pixels) < 0.65


def test_images_in_memory_are_mirrored_as_those_that_are_decoded_each_time():
    flipped = photos()[0].shown(views("flip", 20)[0])
    decoded = shown(flipped, 3, epochs=2)
    np.testing.assert_array_equal(decoded, shown(flipped.in_memory(), 3, epochs=2))
    assert not np.array_equal(decoded, shown(photos()[0], 3, epochs=2))


def test_a_cut_shows_a_part_of_the_original_upright():
    pixels = shown(photos()[0].shown(views("imagenet", 20)[0]), 0, epochs=5).astype(int)
    assert (np.diff(pixels[..., 1].mean(2), axis=1) > -0.5).all()
    left_to_right = pixels[:, :, -1, 2].mean(1) - pixels[:, :, 0, 2].mean(1)
    assert {True, False} == set((left_to_right > 0).tolist())
    shares = np.abs(left_to_right) / 236
    assert shares.min() < 0.6
    assert shares.max() > 0.75


@pytest.mark.parametrize("number", [0, 1])
def test_a_window_is_the_same_whether_it_is_decoded_alone_or_not(number):
    originals = photos()[0].originals
    found = originals.find(tf.constant(number))
    window = originals.cut(found, lambda height, width: tf.stack([height - 35, width - 52, 16, 24])).numpy()
    np.testing.assert_array_equal(window, originals.cut(found, None)[5:21, 8:32])


def whole_image(images: ImageSet, number: int) -> np.ndarray:
    originals = images.originals
    return originals.cut(originals.find(tf.constant(number)), None).numpy()


def test_cuts_come_from_whole_images_and_everything_else_is_held_as_shown():
    whole = photos()[0]
    training, evaluation = views("imagenet", 20)
    cut = whole.shown(training).in_memory()
    assert whole_image(cut, 7).shape == (40, 60, 3)
    held = whole.shown(evaluation).in_memory()
    assert held.originals is not whole.originals
    assert held.in_memory() is held
    plain, again = ([image.numpy() for image, _ in examples(images)] for images in (whole.shown(evaluation), held))
    np.testing.assert_array_equal(plain, again)


def of_all_sizes() -> ImageSet:
    """Nine images in two formats, each of another size."""
    generator = np.random.default_rng(0)
    encoded = []
    for number in range(9):
        image = generator.integers(256, size=(30 + 5 * number, 70 - 6 * number, 3), dtype=np.uint8)
        encoded.append((tf.io.encode_png if number % 2 else tf.io.encode_jpeg)(image).numpy())
    originals = EncodedImages(np.arange(9) % 3, 3, lambda index: tf.gather(encoded, index), tf.identity, str)
    return ImageSet(originals, np.arange(9), views("imagenet", 16)[0])


def test_originals_in_memory_are_cut_as_those_that_are_decoded_each_time():
    images = of_all_sizes()
    held = images.in_memory()
    assert not isinstance(held.originals, EncodedImages)
    assert held.in_memory().originals is held.originals
    for number in range(9):
        np.testing.assert_array_equal(whole_image(held, number), whole_image(images, number))
    decoded, cut = shown(images, 3, epochs=2).astype(int), shown(held, 3, epochs=2).astype(int)
    assert np.abs(decoded - cut).max() <= 40, "a JPEG's window alone lacks its neighbours' colours"
    assert np.abs(decoded - cut).mean() < 1


def test_a_part_of_a_set_is_all_of_it_that_is_held(monkeypatch):
    images, some = of_all_sizes(), np.array([7, 2])
    size = sum(whole_image(images, number).size for number in some)
    for room, fits in ((size, True), (size - 1, False)):
        monkeypatch.setattr("netadapt_tf.training.images._MAX_BYTES_IN_MEMORY", room)
        part = replace(images, indices=some).in_memory()
        assert isinstance(part.originals, EncodedImages) is not fits
        assert list(part.own_labels) == [1, 2]
        assert shown(part, 0).shape == (2, 16, 16, 3)


def test_flipped_sets_are_held_and_tested_upright():
    flipped = photos()[0].shown(views("flip", 20)[0]).in_memory()
    upright = flipped.shown(views("flip", 20)[1])
    assert upright.in_memory() is upright
    np.testing.assert_array_equal(
        [image for image, _ in examples(upright)], [image for image, _ in examples(photos()[0])]
    )


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_a_resumed_run_sees_the_same(augmentation):
    def epoch():
        tf_keras.utils.set_random_seed(0)  # as an adaptation does, whether it begins or goes on
        return shown(photos()[0].shown(views(augmentation, 20)[0]).in_memory(), 11, epochs=2)

    first = epoch()
    tf.random.uniform([3])
    shown(photos()[0], 5)
    np.testing.assert_array_equal(first, epoch())


def test_resizing_is_bilinear():
    image = tf.constant(np.array([[0, 100], [100, 200]], np.uint8)[..., None])
    np.testing.assert_array_equal(
        resized(image, 4)[..., 0], [[0, 25, 75, 100], [25, 50, 100, 125], [75, 100, 150, 175], [100, 125, 175, 200]]
    )
