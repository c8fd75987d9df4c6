"""Shrinking as MorphNet does (Gordon et al., CVPR 2018): batch norm scales are driven to zero, dear channels first.

The loss gets, for every channel group, what one of its channels costs in latency, times the sum of the sizes of the
scales by which batch norms multiply its channels; where several layers write a channel the largest counts. Its strength
rises from epoch to epoch. A channel whose scale has fallen below a threshold is dead; when the network without its dead
channels is measured to be within a budget, it is cut, and training goes on to the next budget.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import ChannelGroup, Channels, Widths
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.search.filter_choice import strongest
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.training.datasets import Shuffled, batch_spec, epochs_from, steps_per_epoch
from netadapt_tf.training.task import classification
from netadapt_tf.training.trainer import Trainer, constant
from tflite_bench.errors import UserError

THRESHOLD = 0.01
"""A smaller scale counts as zero; MorphNet's own."""

STRENGTH_STEP = 0.1
"""What the strength gains in an epoch: loss per latency of the starting network."""

_MAX_EPOCHS = 200


@dataclass(frozen=True)
class Regularised:
    """A network that met a budget.

    Attributes:
        network: cut.
        steps: of training with the regulariser until then.
    """

    network: tf_keras.Model
    steps: int


def channel_costs(start: Widths, latency_ms: Callable[[Widths], float]) -> dict[str, float]:
    """What one channel of each group costs, as a share of the starting network's latency.

    By halving the group: the layers that write it, those it passes through and those that read it all count.

    Args:
        start: filters of the starting network.
        latency_ms: of a network of any widths, by a latency table.
    """
    whole = latency_ms(start)
    return {
        name: max(0.0, 1 - latency_ms({**start, name: filters - filters // 2}) / whole) / (filters // 2)
        for name, filters in start.items()
        if filters > 1
    }


def alive_widths(start: Widths, scales: Mapping[str, np.ndarray], filter_multiple: int) -> dict[str, int]:
    """How many filters every group keeps: those that are alive, rounded up to a candidate of the search.

    Args:
        start: filters of the starting network.
        scales: by group, the size of every channel's scale, [filters].
        filter_multiple: see `candidate_filters`.
    """
    widths = {}
    for name, filters in start.items():
        alive = int(np.sum(scales[name] >= THRESHOLD))
        candidates = [*candidate_filters(filters, filters, filter_multiple), filters]
        widths[name] = next(candidate for candidate in candidates if candidate >= alive)
    return widths


def regularise(
    network: tf_keras.Model,
    dataset: Shuffled,
    seed: int,
    learning_rate: float,
    costs: Mapping[str, float],
    filter_multiple: int,
    ratio: Callable[[Widths], float],
    percents: Sequence[int],
) -> dict[int, Regularised]:
    """Trains a network until it has met every budget.

    Args:
        network: trained in place.
        dataset: what it learns from.
        seed: of shuffling.
        learning_rate: constant.
        costs: see `channel_costs`.
        filter_multiple: see `candidate_filters`.
        ratio: measured latency of a network of any widths over the starting network's.
        percents: the budgets, the largest first.

    Raises:
        UserError: the layers that write channels have no batch norms, or a budget is not met in 200 epochs.
    """
    channels = find_channels(network)
    start = channels.widths
    strength = tf.Variable(0.0, trainable=False)
    network.add_loss(lambda: strength * _penalty(network, channels, costs))
    trainer = Trainer(network, classification(network), batch_spec(dataset))
    per_epoch, found, widths = steps_per_epoch(dataset), dict[int, Regularised](), start
    batches = epochs_from(dataset, seed, 0)
    for epoch in range(1, _MAX_EPOCHS + 1):
        strength.assign(epoch * STRENGTH_STEP)
        trainer.fit(next(batches), per_epoch, constant(learning_rate))
        scales = {group.name: _sizes(network, channels, group).numpy() for group in channels.groups if not group.lock}
        before, widths = widths, alive_widths(start, scales, filter_multiple)
        if widths == before:
            continue
        measured = ratio(widths)
        logging.info("Epoch %d with the regulariser: %.1f %% of the latency.", epoch, 100 * measured)
        for percent in percents:
            if percent not in found and measured <= percent / 100:
                kept = {name: strongest(scales[name], filters) for name, filters in widths.items()}
                found[percent] = Regularised(narrow(network, channels, kept), epoch * per_epoch)
        if len(found) == len(percents):
            return found
    raise UserError(f"the regulariser has met {len(found)} of {len(percents)} budgets in {_MAX_EPOCHS} epochs")


def _penalty(network: tf_keras.Model, channels: Channels, costs: Mapping[str, float]) -> tf.Tensor:
    return tf.add_n(
        [
            costs[group.name] * tf.reduce_sum(_sizes(network, channels, group))
            for group in channels.groups
            if group.name in costs
        ]
    )


def _sizes(network: tf_keras.Model, channels: Channels, group: ChannelGroup) -> tf.Tensor:
    """The largest of the sizes of each channel's scales, float32 [filters]."""
    missing = [writer for writer in group.writers if writer not in channels.normalisers]
    if missing:
        raise UserError(f"the regulariser needs a batch norm behind every layer; {missing[0]} has none")
    scales = [tf.abs(network.get_layer(channels.normalisers[writer]).gamma) for writer in group.writers]
    return tf.reduce_max(tf.stack(scales), axis=0)
