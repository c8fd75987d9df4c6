"""Training steps on batches as they come from a data set, and on one that is at hand, in turn."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from netadapt_tf.training.datasets import Shuffled, endless
from netadapt_tf.training.fashion_mnist import fashion_mnist_12k
from netadapt_tf.training.trainer import Trainer, constant
from tflite_bench.progress import progress

_LEARNING_RATE = 0.001
_PHOTO_SIZE = (375, 500)
_NOISE = 24.0  # the files take 92 KB, the median of 100


@dataclass(frozen=True)
class Fed:
    """What a number of rounds took.

    Attributes:
        fed_ms: by round, a step on batches of the data set, in milliseconds; opening its epoch is among it.
        at_hand_ms: likewise, on the same batch again and again.
    """

    fed_ms: tuple[float, ...]
    at_hand_ms: tuple[float, ...]

    def __str__(self) -> str:
        ratios = np.divide(self.fed_ms, self.at_hand_ms)
        return (
            f"a step fed by the data set / on a batch at hand: {np.median(ratios):.2f} ({ratios.min():.2f} to "
            f"{ratios.max():.2f}), {np.median(self.fed_ms):.1f} and {np.median(self.at_hand_ms):.1f} ms, "
            f"{len(ratios)} rounds in turn"
        )


def fed_in_turn(trainer: Trainer, dataset: Shuffled, steps: int, rounds: int) -> Fed:
    """Times rounds of steps, each as a proposal's: from a new epoch; and as many on one batch.

    Args:
        trainer: of the network.
        dataset: what it is fed by.
        steps: of a round.
        rounds: of either kind; the one that begins takes turns.

    Returns:
        What they took.
    """
    at_hand = next(iter(dataset(0)))
    trainer.fit(itertools.repeat(at_hand), 1, constant(_LEARNING_RATE))  # traces

    def step_ms(batches: Iterable) -> float:
        begin = time.perf_counter()
        trainer.fit(batches, steps, constant(_LEARNING_RATE))
        return 1e3 * (time.perf_counter() - begin) / steps

    fed_ms, at_hand_ms = [], []
    with progress("rounds", rounds) as bar:
        for number in range(rounds):
            for is_fed in (True, False) if number % 2 else (False, True):
                if is_fed:
                    fed_ms.append(step_ms(endless(dataset, number)))
                else:
                    at_hand_ms.append(step_ms(itertools.repeat(at_hand)))
            bar.update()
    return Fed(tuple(fed_ms), tuple(at_hand_ms))


def make_photos(folder: Path, count: int, seed: int) -> None:
    """Writes JPEG files of 500 x 375 pixels, one sub-folder per class: clothes of Fashion-MNIST, enlarged, with noise.

    Args:
        folder: where to.
        count: how many.
        seed: of the noise.
    """
    images, labels, *_ = fashion_mnist_12k()
    generator = np.random.default_rng(seed)
    for number, (image, label) in enumerate(zip(images[:count], labels[:count], strict=True)):
        large = tf.image.resize(image, _PHOTO_SIZE).numpy()  # [375, 500, 1]
        noisy = large + generator.normal(0.0, _NOISE, (*_PHOTO_SIZE, 3))
        path = folder / str(label) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_jpeg(noisy.clip(0, 255).astype(np.uint8), quality=90).numpy())
