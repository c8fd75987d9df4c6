"""What adaptations in tests take seconds with: images, settings, and meters of imagined devices."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf import Datasets, Settings
from netadapt_tf.training.trainer import Trainer
from tests.fake_meter import FakeMeter

QUICK = Settings(initial_reduction=0.2, short_term_steps=2, long_term_epochs=1, filter_multiple=2)

QUICK_FLAGS = (
    *("--dataset=fashion_mnist_12k", "--train_images=600", "--holdout_images=100", "--batch_size=50"),
    *("--short_term_steps=1", "--long_term_epochs=1", "--filter_multiple=16", "--initial_reduction=0.3"),
)
"""For the command, and a network of two convolutions."""


def four_corners(count: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images whose bright corner tells their class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = generator.uniform(-1, 0, (count, 8, 8, 3)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 1
    return images, labels


def corner_datasets() -> Datasets:
    def part(seed: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(four_corners(seed=seed)).batch(16)

    return Datasets(train=lambda seed: part(0).shuffle(8, seed=seed), holdout=part(1), test=part(2))


@contextmanager
def interrupted_at(call: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, an adaptation is interrupted where it trains for the `call`th time, which it must come to."""
    fit, calls = Trainer.fit, itertools.count(1)

    def interrupted(*arguments, **more):
        if next(calls) == call:
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            yield


class FakeMeters:
    """Imagined devices, whichever are asked for."""

    def __init__(self, benchmark_models=()):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def of(self, target):
        return FakeMeter()
