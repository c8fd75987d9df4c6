import itertools
import random
import time
from collections.abc import Mapping, Sequence

import pytest

from netadapt_tf.resources.covering import covering

Sets = Sequence[tuple[str, ...]]


def every_choice(sets: Sets, counts: Mapping[str, int]) -> list[dict[str, int]]:
    return [
        dict(zip(groups, filters, strict=True))
        for groups in sets
        for filters in itertools.product(*(range(1, counts[name] + 1) for name in groups))
    ]


def chain(counts: Sequence[int]) -> tuple[Sets, dict[str, int]]:
    names = [f"conv{number:02}" for number in range(len(counts))]
    return [*((name,) for name in names), *itertools.pairwise(names)], dict(zip(names, counts, strict=True))


def check_covered(networks: Sequence[Mapping[str, int]], wanted: Sequence[Mapping[str, int]]) -> None:
    held = {
        (groups, tuple(network[name] for name in groups))
        for network in networks
        for groups in {tuple(choice) for choice in wanted}
    }
    assert {(tuple(choice), tuple(choice.values())) for choice in wanted} <= held


def most_choices(wanted: Sequence[Mapping[str, int]]) -> int:
    return max(len(list(choices)) for _, choices in itertools.groupby(sorted(map(tuple, wanted))))


RESIDUAL = [("in", "inside"), ("inside", "out"), ("in", "out"), ("out", "head")]
JOINED = [("x", "left"), ("x", "right"), ("left", "right"), ("right", "head")]


@pytest.mark.parametrize(
    ("sets", "counts"),
    [
        chain([4]),
        chain([1, 1, 1]),
        chain([4, 8, 16, 16, 8]),
        chain([3, 17, 2, 11, 5, 13, 1, 7]),
        chain([2, 30, 2, 30, 2]),
        (RESIDUAL, {"in": 16, "inside": 16, "out": 16, "head": 12}),
        (RESIDUAL, {"in": 7, "inside": 20, "out": 15, "head": 3}),
        (JOINED, {"x": 12, "left": 12, "right": 12, "head": 12}),
        ([("a", "b", "c"), ("c", "d"), ("a", "d")], {"a": 6, "b": 5, "c": 6, "d": 9}),
    ],
)
def test_all_choices_are_held_by_about_as_many_networks_as_one_layer_has_choices(sets, counts):
    wanted = every_choice(sets, counts)
    networks = covering(counts, wanted)
    check_covered(networks, wanted)
    assert len(networks) <= 1.3 * most_choices(wanted)


def test_a_chain_takes_no_network_more_than_it_must():
    wanted = every_choice(*chain([3, 17, 2, 11, 5, 13, 1, 7]))
    assert len(covering(chain([3, 17, 2, 11, 5, 13, 1, 7])[1], wanted)) == most_choices(wanted) == 65


def test_only_what_is_wanted_costs_networks():
    sets, counts = chain([16] * 8)
    wanted = random.Random(0).sample(every_choice(sets, counts), 100)
    networks = covering(counts, wanted)
    check_covered(networks, wanted)
    assert len(networks) < 50
    assert covering(counts, []) == []


def test_groups_that_nothing_is_wanted_of_keep_their_filters():
    start = {"a": 8, "b": 8, "c": 8}
    assert covering(start, [{"a": 4}, {"b": 2}]) == [{"a": 4, "b": 2, "c": 8}]
    assert covering(start, [{}]) == [start]


def test_thousands_of_choices_take_seconds():
    sets, counts = chain([32, 64, 64, 64, 64, 64, 64])
    wanted = every_choice(sets, counts)
    begin = time.monotonic()
    assert len(covering(counts, wanted)) == 64 * 64
    assert time.monotonic() - begin < 20
