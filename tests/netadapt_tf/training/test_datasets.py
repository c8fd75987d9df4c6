from itertools import islice

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.training.datasets import Datasets, batch_spec, endless, epoch, epoch_seed, steps_per_epoch
from tflite_bench.errors import UserError

IMAGES = np.zeros((10, 8, 8, 3), np.float32)
LABELS = np.arange(10)


@pytest.fixture
def fit() -> tf.data.Dataset:
    return of((IMAGES, LABELS))


def of(values) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(values).batch(4)


def test_batches_are_counted_and_repeated(fit):
    assert steps_per_epoch(fit) == 3
    labels = [int(label) for _, batch in islice(endless(fit, 0), 6) for label in batch]
    assert labels == [*range(10), *range(10)]


def test_a_function_of_a_seed_is_asked_for_each_order(fit):
    asked = []

    def shuffled(seed):
        asked.append(seed)
        return fit

    assert epoch(shuffled, 7) is fit
    assert asked == [7]
    assert steps_per_epoch(shuffled) == 3
    asked.clear()
    assert len(list(islice(endless(shuffled, 7), 7))) == 7
    assert asked == [epoch_seed(7, 0), epoch_seed(7, 1), epoch_seed(7, 2)]


def test_any_batch_size_will_do(fit):
    images, labels = batch_spec(fit)
    assert images == tf.TensorSpec([None, 8, 8, 3], tf.float32)
    assert labels.shape == [None]


def test_the_long_term_fine_tune_sees_the_full_set_where_there_is_one(fit):
    more = fit.repeat(2)
    assert Datasets(fit, fit, fit).long_term is fit
    assert Datasets(fit, fit, fit, more).long_term is more


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda fit: of(IMAGES), "batches (images, targets)"),
        (lambda fit: of((IMAGES.astype(np.uint8), LABELS)), "uint8"),
        (lambda fit: of((IMAGES[:, :4], LABELS)), "takes float32 (batch, 8, 8, 3)"),
        (lambda fit: fit.map(lambda images, labels: (images, tf.cast(labels, tf.int32))), "int32"),
        (lambda fit: fit.repeat(), "no end"),
        (lambda fit: fit.filter(lambda images, labels: True), "assert_cardinality"),
        (lambda fit: fit.take(0), "no batch"),
    ],
)
@pytest.mark.parametrize("part", ["train", "holdout", "test", "full_train"])
def test_sets_that_cannot_be_fed_are_refused_by_name(cnn, fit, part, wrong, said):
    parts = {"train": fit, "holdout": fit, "test": fit}
    Datasets(**parts).check(cnn)
    with pytest.raises(UserError) as error:
        Datasets(**(parts | {part: wrong(fit)})).check(cnn)
    assert said in str(error.value)
    assert f"data set {part} " in str(error.value) or said == "int32"
