"""The data that an adaptation learns from and is judged by, as `tf.data` sets of batches."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tflite_bench.errors import UserError

Shuffled = Callable[[int], tf.data.Dataset]
"""seed -> one epoch, in an order that the seed decides."""


@dataclass(frozen=True)
class Datasets:
    """Batches of (images float32 [B, H, W, C], targets [B, ...]), each set finite; B may vary.

    The training sets are best given as functions of a seed: every proposal, and every epoch of a long stage, then sees
    another order, and the same one when an interrupted run goes on. A plain `tf.data.Dataset` is repeated as it is,
    and is the same each time only if `shuffle` has a seed and `reshuffle_each_iteration=False`; a long stage that goes
    on reads, and skips, the batches of its finished epochs.

    Attributes:
        train: one epoch; what the search fine-tunes on, and what a starting network is trained on.
        holdout: ranks the proposals, and nothing else; no part of `train`.
        test: only for the summary.
        full_train: for the long-term fine-tune, usually `train` and `holdout` together; `train` where it is None.
    """

    train: tf.data.Dataset | Shuffled
    holdout: tf.data.Dataset
    test: tf.data.Dataset
    full_train: tf.data.Dataset | Shuffled | None = None

    @property
    def long_term(self) -> tf.data.Dataset | Shuffled:
        """What the long-term fine-tune sees."""
        return self.train if self.full_train is None else self.full_train

    def check(self, network: tf_keras.Model) -> None:
        """Sees that all sets can be fed to a network.

        Raises:
            UserError: a set of another form, or without an end or a batch.
        """
        wanted = network.input_shape[1:]
        for name in ("holdout", "train", "test", "full_train"):
            dataset = getattr(self, name)
            if dataset is None:
                continue
            if not isinstance(dataset, tf.data.Dataset) and not callable(dataset):
                raise UserError(
                    f"the data set {name} is a {type(dataset).__name__}; a tf.data.Dataset of batches, or a function "
                    "of a seed that returns one, is needed"
                )
            spec = epoch(dataset, 0).element_spec
            if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[0], tf.TensorSpec):
                raise UserError(f"the data set {name} should yield batches (images, targets); it yields {spec}")
            if any(part.shape.rank in (None, 0) for part in tf.nest.flatten(spec)):
                raise UserError(f"the data set {name} should yield batches of known rank; it yields {spec}")
            images = spec[0]
            if images.dtype != tf.float32 or not images.shape.is_compatible_with([None, *wanted]):
                raise UserError(
                    f"the data set {name} yields images {images.dtype.name} {images.shape}; {network.name} takes "
                    f"float32 (batch, {', '.join(map(str, wanted))})"
                )
            own, common = batch_spec(dataset), batch_spec(self.holdout)
            if own != common:
                raise UserError(f"the data set {name} yields batches {own}, the data set holdout {common}")
            steps_per_epoch(dataset, name)


def epoch(dataset: tf.data.Dataset | Shuffled, seed: int) -> tf.data.Dataset:
    """One epoch."""
    return dataset if isinstance(dataset, tf.data.Dataset) else dataset(seed)


def endless(dataset: tf.data.Dataset | Shuffled, seed: int) -> Iterable[Any]:
    """The batches of epoch after epoch; a function of a seed gives each an order of its own."""
    if isinstance(dataset, tf.data.Dataset):
        return dataset.repeat()
    return itertools.chain.from_iterable(dataset(epoch_seed(seed, number)) for number in itertools.count())


def epochs_from(dataset: tf.data.Dataset | Shuffled, seed: int, first: int) -> Iterator[Iterator[Any]]:
    """The batches of one epoch after the other, without end; each is a stream to take one epoch's steps from.

    Args:
        dataset: a function of a seed gives every epoch an order of its own; any other set is repeated as it is, and its
            batches before the first epoch are skipped.
        seed: of all epochs, see `epoch_seed`.
        first: the first epoch wanted, counted from 0.
    """
    if isinstance(dataset, tf.data.Dataset):
        batches = iter(dataset.repeat().skip(first * steps_per_epoch(dataset)))
        yield from itertools.repeat(batches)
    else:
        for number in itertools.count(first):
            yield iter(endless(dataset, epoch_seed(seed, number)))


def epoch_seed(seed: int, number: int) -> int:
    """The seed of an epoch, counted from 0, of a stage of training."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0]) >> 1


def steps_per_epoch(dataset: tf.data.Dataset | Shuffled, name: str = "train") -> int:
    """Batches of one epoch.

    Raises:
        UserError: the set has no end or no batch, or cannot tell how many it has.
    """
    count = int(epoch(dataset, 0).cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise UserError(f"the data set {name} has no end; give one epoch (without repeat())")
    if count == tf.data.UNKNOWN_CARDINALITY:
        raise UserError(
            f"the data set {name} cannot tell how many batches it has; say it with "
            "dataset.apply(tf.data.experimental.assert_cardinality(batches))"
        )
    if count == 0:
        raise UserError(f"the data set {name} has no batch")
    return count


def batch_spec(dataset: tf.data.Dataset | Shuffled) -> tuple[Any, ...]:
    """Types and shapes of its batches, of any size: what a step is traced for."""
    return tf.nest.map_structure(
        lambda spec: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype), epoch(dataset, 0).element_spec
    )
