"""Few networks that together hold many layers: for measuring layers inside whole networks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from netadapt_tf.networks.channel_groups import Widths

_Filters = tuple[int, ...]

_LOOK_AT = 16


def covering(start: Widths, wanted: Iterable[Widths]) -> list[dict[str, int]]:
    """Widths of few networks such that each wanted choice of some groups' filters is a part of one of them.

    Each network takes one choice for every set of groups, the set with most choices left first and then those that it
    touches, as long as they do not contradict each other. Where the wanted choices are all that there are, and the sets
    of groups form a chain or a tree, that takes as many networks as the largest set has choices, which is the least.

    Args:
        start: filters of every group; for those that nothing is wanted of.
        wanted: filters of some groups each.
    """
    needs: dict[tuple[str, ...], _Need] = {}
    for choice in wanted:
        groups = tuple(sorted(choice))
        needs.setdefault(groups, _Need(groups)).add(tuple(choice[name] for name in groups))
    networks = []
    while open_needs := sorted((need for need in needs.values() if need.left), key=lambda need: -len(need.left)):
        network = {**start, **_compatible_choices(open_needs)}
        for need in open_needs:
            need.drop(network)
        networks.append(network)
    return networks


def _compatible_choices(needs: Sequence["_Need"]) -> dict[str, int]:
    """The filters of one network; those that nothing is taken for are left out."""
    chosen: dict[str, int] = {}
    waiting = list(needs)
    while waiting:
        need = next((need for need in waiting if not chosen.keys().isdisjoint(need.groups)), waiting[0])
        waiting.remove(need)
        options = list(islice(need.fitting(chosen), _LOOK_AT))
        if len(options) > 1:
            settled = [other for other in waiting if chosen.keys() | set(need.groups) >= set(other.groups)]
            if settled:
                options = [max(options, key=lambda option: _also_held(settled, {**chosen, **option}))]
        if options:
            chosen.update(options[0])
    return chosen


def _also_held(needs: Sequence["_Need"], widths: Widths) -> int:
    return sum(need.holds(widths) for need in needs)


class _Need:
    """What is wanted of one set of groups.

    Attributes:
        groups: sorted.
        left: the choices that no network has taken yet, in the order in which they came.
    """

    def __init__(self, groups: tuple[str, ...]) -> None:
        self.groups = groups
        self.left: dict[_Filters, None] = {}
        self._by_part: dict[tuple[int, ...], defaultdict[_Filters, dict[_Filters, None]]] = {}

    def add(self, filters: _Filters) -> None:
        self.left[filters] = None

    def fitting(self, chosen: Mapping[str, int]) -> Iterator[dict[str, int]]:
        """The choices left that do not contradict what is chosen already."""
        part = tuple(place for place, name in enumerate(self.groups) if name in chosen)
        choices = self._index(part).get(tuple(chosen[self.groups[place]] for place in part), {})
        return (dict(zip(self.groups, filters, strict=True)) for filters in choices)

    def holds(self, widths: Widths) -> bool:
        """Whether these widths are one of the choices left."""
        return tuple(widths[name] for name in self.groups) in self.left

    def drop(self, widths: Widths) -> None:
        """Takes a network's choice off what is left."""
        filters = tuple(widths[name] for name in self.groups)
        if filters in self.left:
            del self.left[filters]
            for part, index in self._by_part.items():
                del index[tuple(filters[place] for place in part)][filters]

    def _index(self, part: tuple[int, ...]) -> Mapping[_Filters, dict[_Filters, None]]:
        """The choices left by the filters at some places of `groups`; made when first asked for, and kept."""
        if part not in self._by_part:
            index: defaultdict[_Filters, dict[_Filters, None]] = defaultdict(dict)
            for filters in self.left:
                index[tuple(filters[place] for place in part)][filters] = None
            self._by_part[part] = index
        return self._by_part[part]
