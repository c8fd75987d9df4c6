import sqlite3
import zlib

import numpy as np
import pytest

from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.resources.resource import Measurement, Resource
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.proposals import Round, proposal_seed, propose
from tests.fake_meter import FakeMeter
from tflite_bench.graph import Graph
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import sized
from tflite_bench.table_filling import CALL
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Reading

START = {"first": 8, "second": 12}


def cost(widths) -> int:
    """Of tiny_cnn, in round numbers: what a group writes, and what is read of it."""
    return 27 * widths["first"] + widths["first"] * widths["second"] + 4 * widths["second"]


RESOURCE = Counted("units", cost, START)


def proposed(constraint: float, measured: float | None = None, resource: Resource = RESOURCE, start=None) -> Round:
    start = start or float(cost(START))
    goal, costs = Goal("macs", resource, constraint), {"macs": Measurement(start, measured or start)}
    return propose(START, START, [goal], goal, costs, constraint, filter_multiple=2)


def test_every_group_offers_the_largest_cut_that_meets_the_constraint(cnn):
    assert find_channels(cnn).widths == START
    constraint = 0.8 * cost(START)
    offered = proposed(constraint)
    assert offered.meets_constraint
    for proposal in offered.proposals:
        widths = START | {proposal.group: proposal.filters}
        one_more = START | {proposal.group: proposal.filters + 2}
        assert proposal.predicted["macs"] == cost(widths) <= constraint < cost(one_more)


def test_a_group_that_cannot_meet_the_constraint_alone_makes_no_proposal():
    only_second = cost(START | {"second": 2})
    offered = proposed(only_second - 1)
    assert [proposal.group for proposal in offered.proposals] == ["first"]


def test_where_none_can_each_offers_its_largest_cut():
    offered = proposed(1.0)
    assert not offered.meets_constraint
    assert {proposal.group: proposal.filters for proposal in offered.proposals} == {"first": 2, "second": 2}


def test_cuts_that_save_next_to_nothing_are_dropped():
    flat = Counted("units", lambda widths: 10_000 + cost(widths), START)
    offered = proposed(1.0, resource=flat, start=10_360.0)
    saving = {p.group: 10_360 - p.predicted["macs"] for p in offered.proposals}
    assert all(saved >= 103.6 for saved in saving.values())
    nothing = proposed(1.0, 10_360.0, flat, start=1e6)
    assert nothing.proposals == ()


@pytest.mark.parametrize(("limit", "offers"), [(10_001.0, True), (9_999.0, False)])
def test_next_to_nothing_is_offered_where_all_of_it_together_meets_the_goal(limit, offers):
    """Two cuts that save 0.18 and 0.1 %; both together 10,000 is left of 10,028."""
    flat = Counted("units", lambda widths: 9_992 + 3 * widths["first"] + widths["second"], START)
    goal, costs = Goal("macs", flat, limit), {"macs": Measurement(10_028.0, 10_028.0)}
    offered = propose(START, START, [goal], goal, costs, 1.0, filter_multiple=2)
    assert {p.group: p.filters for p in offered.proposals} == ({"first": 2, "second": 2} if offers else {})


def test_next_to_nothing_is_offered_though_another_cut_cannot_be_measured():
    def units(widths) -> float:
        return 9_992 + 3 * widths["first"] + (widths["second"] if widths["second"] == START["second"] else np.inf)

    goal, costs = Goal("macs", Counted("units", units, START), 10_011.0), {"macs": Measurement(10_028.0, 10_028.0)}
    offered = propose(START, START, [goal], goal, costs, 1.0, filter_multiple=2)
    assert {p.group: p.filters for p in offered.proposals} == {"first": 2}


def test_the_measurement_corrects_the_prediction():
    start = float(cost(START))
    plain, corrected = proposed(0.8 * start), proposed(0.8 * start, measured=1.1 * start)
    for a, b in zip(plain.proposals, corrected.proposals, strict=True):
        assert b.filters <= a.filters
        assert b.predicted["macs"] == pytest.approx(1.1 * cost(START | {b.group: b.filters}))
    assert [p.filters for p in plain.proposals] != [p.filters for p in corrected.proposals]


def test_doubt_makes_cuts_deeper_and_what_is_told_no_worse():
    """Within the budget, but not surely: the constraint is held against the doubt, and savings are told without it."""
    start = float(cost(START))
    goal = Goal("macs", RESOURCE, start)
    doubtful = {"macs": Measurement(start, start, 0.05 * start)}
    offered = propose(START, START, [goal], goal, doubtful, 0.95 * start, filter_multiple=2)
    for proposal in offered.proposals:
        truth = cost(START | {proposal.group: proposal.filters})
        assert proposal.predicted["macs"] == pytest.approx(truth)
        assert 1.05 * truth <= 0.95 * start


def beside(watched: Resource, limit: float, now: Measurement) -> Round:
    """Proposals for 80 % of the cost, with an eye on another goal."""
    start = float(cost(START))
    goal, other = Goal("macs", RESOURCE, 0.5 * start), Goal("bytes", watched, limit)
    costs = {"macs": Measurement(start, start), "bytes": now}
    return propose(START, START, [other, goal], goal, costs, 0.8 * start, filter_multiple=2)


def test_every_goal_is_predicted_from_its_own_measurement():
    size = Counted("bytes", lambda widths: 100 * widths["first"] + widths["second"], START)
    offered = beside(size, limit=500.0, now=Measurement(900.0, 850.0, 3.0))
    assert [(p.group, p.filters) for p in offered.proposals] == [(p.group, p.filters) for p in proposed(288).proposals]
    for proposal in offered.proposals:
        widths = START | {proposal.group: proposal.filters}
        assert proposal.predicted == pytest.approx(
            {"macs": cost(widths), "bytes": 850 / 812 * (100 * widths["first"] + widths["second"])}
        )


class SlowerWhenNarrow(Counted):
    """A target on which one group at fewer filters is slower, or cannot be measured."""

    def __init__(self, group: str, narrow: float) -> None:
        super().__init__("ms", lambda widths: 100, START)
        self._group, self._narrow = group, narrow

    def predict(self, widths) -> float:
        return 100.0 if widths[self._group] == START[self._group] else self._narrow


def test_what_would_break_a_met_goal_is_dropped():
    met, unmet = Measurement(200.0, 100.0, 2.0), Measurement(200.0, 109.0, 2.0)
    assert {p.group for p in beside(SlowerWhenNarrow("second", 109.0), 110.0, met).proposals} == {"first"}
    assert {p.group for p in beside(SlowerWhenNarrow("second", 107.0), 110.0, met).proposals} == {
        "first",
        "second",
    }
    assert {p.group for p in beside(SlowerWhenNarrow("second", 109.0), 110.0, unmet).proposals} == {
        "first",
        "second",
    }


@pytest.mark.parametrize("limit", [50.0, 150.0])
def test_what_cannot_be_measured_on_another_target_is_dropped(limit):
    offered = beside(SlowerWhenNarrow("first", np.inf), limit, Measurement(200.0, 100.0))
    assert {p.group for p in offered.proposals} == {"second"}


def test_seeds_are_the_proposals_own():
    seeds = {proposal_seed(run, i, group) for run in (0, 1) for i in (1, 2) for group in ("a", "b")}
    assert len(seeds) == 8
    assert proposal_seed(0, 1, "a") == proposal_seed(0, 1, "a")
    assert all(0 <= seed < 2**31 for seed in seeds)


class Stairs(FakeMeter):
    """Layers whose time has stairs of four filters, and noise that belongs to the layer."""

    def time(self, job: Job) -> Reading:
        reading = super().time(job)
        if len(self.jobs) and job is self.jobs[-1]:
            layer, *others = sized(Graph(job.tflite), {})
            filters = layer.output_shapes[0][-1]
            noise = np.random.default_rng(zlib.crc32(job.tflite)).normal(0, 0.0005)
            own_ms = 0.002 * -(-filters // 4) + noise
            return Reading((1 + len(others)) * own_ms + reading.latency_ms, 0, 0, 1)
        return reading


@pytest.mark.parametrize("share", [0.97, 0.9, 0.8, 0.7])
def test_numbers_of_filters_equal_brute_force_over_the_measured_table(cnn, cnn_tflite, tmp_path, share):
    groups = find_channels(cnn).groups
    latency = Latency(
        DeployedNetwork(cnn_tflite, groups), START, parse_target("host/cpu:1"), Stairs(), tmp_path / "table"
    )
    start_ms = latency.predict(START)
    offered = proposed(share * start_ms, resource=latency, start=start_ms)
    with sqlite3.connect(tmp_path / "table") as database:
        table = dict(database.execute("SELECT signature, latency_ms FROM entries"))
    graph = Graph(cnn_tflite)

    def total_ms(group: str, filters: int) -> float:
        layers = sized(graph, START | {group: filters})
        return table[CALL] + sum(table[layer_signature(graph, layer)] for layer in layers)

    expected = {}
    for group, filters in START.items():
        for candidate in range(2, filters, 2):
            if all(total_ms(group, smaller) <= share * start_ms for smaller in range(2, candidate + 1, 2)):
                expected[group] = candidate
    assert offered.meets_constraint == bool(expected)
    if expected:
        assert {proposal.group: proposal.filters for proposal in offered.proposals} == expected
