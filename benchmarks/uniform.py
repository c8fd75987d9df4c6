"""Shrinking every channel group by the same share: what a width multiplier does."""

from collections.abc import Callable

import numpy as np
import tf_keras

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.search.filter_choice import strongest
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.search.filter_scores import l2_scores

_SHARES = np.arange(1.0, 0.0, -1 / 256)


def uniform_widths(start: Widths, share: float, filter_multiple: int) -> dict[str, int]:
    """Every group at the candidate nearest to its share; the candidates are those of the search.

    Args:
        start: filters of the starting network.
        share: of them that should stay.
        filter_multiple: see `candidate_filters`.
    """
    nearest = {}
    for name, filters in start.items():
        candidates = [*candidate_filters(filters, filters, filter_multiple), filters]
        nearest[name] = min(candidates, key=lambda candidate: abs(candidate - share * filters))
    return nearest


def widest_within(start: Widths, filter_multiple: int, is_within: Callable[[Widths], bool]) -> dict[str, int] | None:
    """The uniformly shrunk widths that are widest and within budget, or None; found by bisection.

    Args:
        start: filters of the starting network.
        filter_multiple: see `candidate_filters`.
        is_within: whether widths are within budget; narrower ones then are, too.
    """
    distinct: list[dict[str, int]] = []
    for share in _SHARES:
        widths = uniform_widths(start, float(share), filter_multiple)
        if not distinct or widths != distinct[-1]:
            distinct.append(widths)
    first_within, end = 0, len(distinct)
    while first_within < end:
        middle = (first_within + end) // 2
        if is_within(distinct[middle]):
            end = middle
        else:
            first_within = middle + 1
    return distinct[first_within] if first_within < len(distinct) else None


def shrunk_by_l2(network: tf_keras.Model, widths: Widths) -> tf_keras.Model:
    """The narrower network that keeps, in every group, the filters of the largest norm."""
    channels = find_channels(network)
    score = l2_scores(network, channels)
    groups = {group.name: group for group in channels.groups}
    kept = {name: strongest(score(groups[name]), filters) for name, filters in widths.items()}
    return narrow(network, channels, kept)
