"""The grid of all layers that a search can ask for: every layer at every combination of the groups it depends on."""

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.covering import covering
from netadapt_tf.resources.deployed import DeployedNetwork
from tflite_bench.errors import UserError
from tflite_bench.layer_signature import layer_signature
from tflite_bench.progress import progress
from tflite_bench.sizing import SizedOperator

_MOST_COMBINATIONS = 1_000_000  # of one layer; two groups of 1000 filters each, in steps of one


@dataclass(frozen=True)
class GridLayer:
    """A layer of the grid.

    Attributes:
        layer: the layer at its shapes.
        widths: filters of the groups that it depends on; every network of these widths holds it.
    """

    layer: SizedOperator
    widths: Widths


def layer_grid(
    network: DeployedNetwork, start: Widths, candidates: Mapping[str, Sequence[int]]
) -> dict[str, GridLayer]:
    """Every layer at every candidate width, by signature.

    A layer's shape depends on the group that it writes and on those that it reads; the others do not matter to it. So
    the grid is the sum over the layers of the products of a few groups' candidates, and not the product of all.

    Args:
        network: the starting network, converted.
        start: its widths.
        candidates: the numbers of filters that each group may have, its own included.

    Raises:
        UserError: a layer depends on so many groups that its grid has no end.
    """
    positions_of: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, groups in enumerate(groups_of_layers(network, start)):
        positions_of[groups].append(position)
    for groups in positions_of:
        combinations = math.prod(len(candidates[name]) for name in groups)
        if combinations > _MOST_COMBINATIONS:
            raise UserError(
                f"a layer depends on {len(groups)} channel groups, {groups[0]} and others, which is {combinations:.1g} "
                "combinations to measure: fill the table by searching, which measures only what it asks for"
            )
    networks = covering(start, [widths for groups in positions_of for widths in _combinations(groups, candidates)])
    grid: dict[str, GridLayer] = {}
    seen = set()
    with progress("listing layers", len(networks)) as bar:
        for widths in networks:
            layers = network.layers(widths)
            for groups, positions in positions_of.items():
                filters = tuple(widths[name] for name in groups)
                if (groups, filters) in seen:
                    continue
                seen.add((groups, filters))
                of_groups = dict(zip(groups, filters, strict=True))
                for position in positions:
                    signature = layer_signature(network.graph, layers[position])
                    grid.setdefault(signature, GridLayer(layers[position], of_groups))
            bar.update()
    return grid


def groups_of_layers(network: DeployedNetwork, start: Widths) -> list[tuple[str, ...]]:
    """For every layer, in order of execution, the groups whose filters change it."""
    own = network.layers(start)
    groups_of: list[list[str]] = [[] for _ in own]
    for name, filters in start.items():
        if filters == 1:
            continue
        for position, layer in enumerate(network.layers({**start, name: filters - 1})):
            if layer != own[position]:
                groups_of[position].append(name)
    return [tuple(groups) for groups in groups_of]


def _combinations(groups: Sequence[str], candidates: Mapping[str, Sequence[int]]) -> Iterable[Widths]:
    for filters in itertools.product(*(candidates[name] for name in groups)):
        yield dict(zip(groups, filters, strict=True))
