"""The grid of all layers that a search can ask for: every layer at every combination of the groups it depends on."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from tflite_bench.graph import SizedOperator
from tflite_bench.layer_signature import layer_signature


def layer_grid(
    network: DeployedNetwork, start: Widths, candidates: Mapping[str, Sequence[int]]
) -> dict[str, SizedOperator]:
    """Every layer at every candidate width, by signature.

    A layer's shape depends on the group that it writes and on those that it reads; the others do not matter to it. So
    the grid is the sum over the layers of the products of a few groups' candidates, and not the product of all.

    Args:
        network: the starting network, converted.
        start: its widths.
        candidates: the numbers of filters that each group may have, its own included.
    """
    grid: dict[str, SizedOperator] = {}
    for groups, positions in _layers_by_groups(network, start, candidates).items():
        for widths in _combinations(start, groups, candidates):
            layers = network.layers(widths)
            for position in positions:
                grid.setdefault(layer_signature(network.graph, layers[position]), layers[position])
    return grid


def _layers_by_groups(
    network: DeployedNetwork, start: Widths, candidates: Mapping[str, Sequence[int]]
) -> dict[tuple[str, ...], list[int]]:
    """Positions of the layers, by the groups whose filters change them."""
    own = network.layers(start)
    groups_of: list[list[str]] = [[] for _ in own]
    for name, filters in start.items():
        other = next((count for count in candidates[name] if count != filters), None)
        if other is None:
            continue
        for position, layer in enumerate(network.layers({**start, name: other})):
            if (layer.input_shapes, layer.output_shapes) != (own[position].input_shapes, own[position].output_shapes):
                groups_of[position].append(name)
    positions: dict[tuple[str, ...], list[int]] = {}
    for position, groups in enumerate(groups_of):
        positions.setdefault(tuple(groups), []).append(position)
    return positions


def _combinations(
    start: Widths, groups: Sequence[str], candidates: Mapping[str, Sequence[int]]
) -> Iterator[dict[str, int]]:
    for filters in itertools.product(*(candidates[name] for name in groups)):
        yield {**start, **dict(zip(groups, filters, strict=True))}


def alternating(start: Widths, candidates: Mapping[str, Sequence[int]]) -> Iterator[dict[str, int]]:
    """Widths that together hold the whole grid of a chain: every other group at one candidate, the rest at another."""
    longest = max(len(counts) for counts in candidates.values())
    for pair in itertools.product(range(longest), repeat=2):
        yield {
            name: candidates[name][min(pair[number % 2], len(candidates[name]) - 1)]
            for number, name in enumerate(start)
        }
