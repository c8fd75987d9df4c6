"""Networks that answer otherwise than with one class for an image: with one for each pixel, or with several things."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf import Datasets, Metric, Settings, UserError, adapt_network
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from tests.fake_meter import FakeMeter
from tflite_bench.meters import Meters
from tflite_bench.runtime import all_outputs

layers = tf_keras.layers
SETTINGS = Settings(
    pretrain_epochs=15,
    initial_reduction=0.4,
    short_term_steps=3,
    long_term_epochs=10,
    filter_multiple=4,
)


@pytest.fixture(autouse=True)
def nothing_is_timed(monkeypatch):
    """The summary tells a latency, which is of no interest here."""
    monkeypatch.setattr(Meters, "of", lambda *_: FakeMeter())


def rectangles(seed: int, count: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red or a blue rectangle on noise.

    Returns:
        Images float32 [N, 16, 16, 3], classes of pixels int64 [N, 16, 16], areas float32 [N, 1].
    """
    generator = np.random.default_rng(seed)
    images = generator.uniform(-1, 0, (count, 16, 16, 3)).astype(np.float32)
    pixels = np.zeros((count, 16, 16), np.int64)
    for image, classes in zip(images, pixels, strict=True):
        top, left = generator.integers(0, 8, 2)
        height, width = generator.integers(4, 9, 2)
        kind = generator.integers(1, 3)
        classes[top : top + height, left : left + width] = kind
        image[..., 2 * (kind - 1)] += classes > 0
    return images, pixels, (pixels > 0).mean((1, 2), dtype=np.float32)[:, None]


def encoder_decoder() -> tf_keras.Model:
    """Half the resolution and back, stacked upon what was there before."""
    images = layers.Input((16, 16, 3))
    fine = layers.Conv2D(12, 3, padding="same", activation="relu", name="fine")(images)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="coarse")(fine)
    x = layers.Conv2DTranspose(12, 3, strides=2, padding="same", activation="relu", name="transposed")(x)
    x = layers.Concatenate(name="skip")([x, fine])
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="last")(x)
    return tf_keras.Model(images, layers.Conv2D(3, 1, name="pixels")(x), name="segmenter")


@pytest.mark.slow
def test_a_network_that_answers_for_each_pixel_is_adapted(tmp_path):
    tf_keras.utils.set_random_seed(0)

    def part(seed: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(rectangles(seed)[:2]).batch(16)

    result = adapt_network(
        encoder_decoder(),
        Datasets(lambda seed: part(0).shuffle(4, seed=seed), holdout=part(1), test=part(2)),
        ["macs=60%"],
        tmp_path / "run",
        loss=tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metric=Metric("mean IoU", lambda: tf_keras.metrics.MeanIoU(3, sparse_y_pred=False)),
        settings=SETTINGS,
    )
    assert result.budgets[0].met
    assert result.widths.keys() == {"fine", "coarse", "transposed", "last"}, "some could not shrink"
    assert result.widths != find_channels(encoder_decoder()).widths
    images, pixels, _ = rectangles(2)
    (answers,) = all_outputs(result.tflite_path.read_bytes(), images)
    np.testing.assert_allclose(answers, load_network(result.keras_path)(images), atol=1e-3)
    shares = [
        ((answers.argmax(-1) == kind) & (pixels == kind)).sum()
        / ((answers.argmax(-1) == kind) | (pixels == kind)).sum()
        for kind in range(3)
    ]
    assert result.metric["after"] == pytest.approx(np.mean(shares), rel=1e-4)
    assert result.metric["after"] > 0.5, "no better than guessing"


class WrongBoth(tf_keras.metrics.Metric):
    """The share of wrong colours, and ten times the error of the areas: of targets and outputs in two parts each."""

    def __init__(self) -> None:
        super().__init__()
        self._wrong = tf_keras.metrics.SparseCategoricalAccuracy()
        self._error = tf_keras.metrics.MeanAbsoluteError()

    def update_state(self, targets, outputs, sample_weight=None):
        areas, colours = outputs
        self._wrong.update_state(targets["colour"], colours)
        self._error.update_state(targets["area"], areas)

    def result(self):
        return 1 - self._wrong.result() + 10 * self._error.result()


def loss_of_both(targets, outputs):
    areas, colours = outputs
    wrong = tf_keras.losses.sparse_categorical_crossentropy(targets["colour"], colours)
    return wrong + tf.reduce_mean(tf.square(targets["area"] - areas), axis=-1)


def two_heads() -> tf_keras.Model:
    """How large the rectangle is, and which colour it has."""
    images = layers.Input((16, 16, 3))
    x = layers.Conv2D(12, 3, strides=2, activation="relu", name="a")(images)
    x = layers.Conv2D(16, 3, activation="relu", name="b")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    area = layers.Dense(1, name="z_area")(layers.Dense(8, activation="relu", name="hidden")(x))
    return tf_keras.Model(images, [area, layers.Dense(2, activation="softmax", name="a_colour")(x)], name="two_heads")


def sizes_and_colours(seed: int) -> tf.data.Dataset:
    images, pixels, areas = rectangles(seed, 128)
    targets = {"area": areas, "colour": pixels.max((1, 2)) - 1}
    return tf.data.Dataset.from_tensor_slices((images, targets)).batch(16)


@pytest.mark.slow
def test_a_network_of_two_outputs_is_adapted_by_a_loss_and_a_metric_of_both(tmp_path):
    tf_keras.utils.set_random_seed(0)
    result = adapt_network(
        two_heads(),
        Datasets(sizes_and_colours(0), holdout=sizes_and_colours(1), test=sizes_and_colours(2)),
        ["macs=60%"],
        tmp_path / "run",
        loss=loss_of_both,
        metric=Metric("wrong", WrongBoth, larger_is_better=False),
        settings=SETTINGS,
    )
    assert result.budgets[0].met
    assert result.widths.keys() == {"a", "b", "hidden"}
    images, pixels, areas = rectangles(2, 128)
    area, colour = all_outputs(result.tflite_path.read_bytes(), images)
    for of_file, of_network in zip((area, colour), load_network(result.keras_path)(images), strict=True):
        np.testing.assert_allclose(of_file, of_network, atol=1e-4)
    wrong = (colour.argmax(-1) != pixels.max((1, 2)) - 1).mean()
    assert result.metric["after"] == pytest.approx(wrong + 10 * np.abs(area - areas).mean(), rel=1e-3)
    assert wrong < 0.2
    assert np.abs(area - areas).mean() < np.abs(areas - areas.mean()).mean(), "no better than the mean"


@pytest.mark.parametrize("given", [{}, {"loss": loss_of_both}, {"metric": Metric("wrong", WrongBoth)}])
def test_several_outputs_need_a_loss_and_a_metric_of_their_own(tmp_path, given):
    data = Datasets(*[sizes_and_colours(0)] * 3)
    with pytest.raises(UserError, match="two_heads has 2 outputs; a loss and a metric of its own are needed"):
        adapt_network(two_heads(), data, ["macs=60%"], tmp_path / "run", **given)
