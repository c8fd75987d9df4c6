import dataclasses
import math

import pytest

from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.goals import Goal, corrected_by_delivery, unmet

NOTHING = Counted("units", lambda _: 0, {})


def goal(name: str = "macs", limit: float = 60.0) -> Goal:
    return Goal(name, NOTHING, limit)


@pytest.mark.parametrize(
    ("value", "spread", "distance"),
    [(100.0, 0.0, 1.0), (80.0, 0.0, 0.5), (80.0, 4.0, 0.6), (58.0, 4.0, 0.05), (60.0, 0.0, 0.0), (40.0, 4.0, 0.0)],
)
def test_distance_is_what_is_left_of_the_way_beyond_doubt(value, spread, distance):
    assert goal().distance(Measurement(100.0, value, spread)) == pytest.approx(distance)


def test_a_budget_that_the_start_met_and_a_later_network_does_not_comes_before_all():
    assert goal(limit=100.0).distance(Measurement(100.0, 99.0, 2.0)) == math.inf
    assert goal(limit=120.0).distance(Measurement(100.0, 121.0, 2.0)) == math.inf


def test_the_furthest_comes_first_and_what_is_met_not_at_all():
    goals = [goal("a"), goal("b"), goal("c"), goal("d")]
    costs = {
        "a": Measurement(100.0, 70.0),
        "b": Measurement(100.0, 60.0),
        "c": Measurement(100.0, 65.0, 10.0),
        "d": Measurement(100.0, 90.0),
    }
    assert [each.name for each in unmet(goals, costs)] == ["d", "c", "a"]
    assert unmet(goals[1:2], costs) == []


def test_of_equals_the_order_in_which_they_were_asked_for_does_not_matter():
    costs = dict.fromkeys("ab", Measurement(100.0, 100.0))
    for goals in ([goal("a"), goal("b")], [goal("b"), goal("a")]):
        assert [each.name for each in unmet(goals, costs)] == ["a", "b"]


@pytest.mark.parametrize(("value", "spread", "base"), [(80.0, 4.0, 80.0), (58.0, 4.0, 62.0)])
def test_within_budget_but_not_surely_predictions_start_from_the_doubt(value, spread, base):
    assert goal().cost_to_cut(Measurement(100.0, value, spread)) == base


@pytest.mark.parametrize(
    ("value", "spread", "predicted", "allowed"),
    [
        (55.0, 2.0, 58.0, True),
        (55.0, 2.0, 58.5, False),  # met now, and perhaps no more
        (59.0, 2.0, 65.0, True),  # not met beyond doubt: nothing to be broken
        (80.0, 0.0, 90.0, True),
        (80.0, 0.0, math.inf, False),
        (55.0, 2.0, math.inf, False),
    ],
)
def test_a_met_goal_allows_nothing_that_breaks_it(value, spread, predicted, allowed):
    assert goal().allows(Measurement(100.0, value, spread), predicted) == allowed


def corrected(delivered: dict[str, float], **found: Measurement) -> dict[str, float] | None:
    """Limits after files that may cost 60 turn out to cost something."""
    goals = [goal(name) for name in delivered]
    better = corrected_by_delivery(goals, found, dict.fromkeys(delivered, 60.0), delivered)
    return None if better is None else {each.name: each.limit for each in better}


FOUND = Measurement(100.0, 58.0, 1.0)


def test_only_what_the_file_misses_is_lowered():
    assert corrected({"a": 59.0, "b": 60.0}, a=FOUND, b=FOUND) is None
    assert corrected({"a": 66.0, "b": 60.0}, a=FOUND, b=FOUND) == {"a": pytest.approx(60 * 60 / 66), "b": 60.0}


def test_a_miss_by_a_hair_still_asks_for_less_than_was_found():
    limits = corrected({"a": 60.001}, a=FOUND)
    assert limits is not None
    assert limits["a"] < FOUND.at_most


def test_where_the_search_itself_could_not_meet_it_nothing_is_asked_again():
    beyond = dataclasses.replace(FOUND, value=70.0)
    assert corrected({"a": 70.0}, a=beyond) is None
    assert corrected({"a": 70.0, "b": 66.0}, a=beyond, b=FOUND) == {"a": 60.0, "b": pytest.approx(60 * 60 / 66)}


def test_a_network_of_unknown_cost_is_within_no_budget():
    unknown = Measurement(math.inf, math.inf)
    for limit in (60.0, math.inf):
        assert not goal(limit=limit).is_met(unknown)
        assert goal(limit=limit).distance(unknown) == math.inf
    assert not goal(limit=math.inf).is_met(Measurement(100.0, 50.0, math.inf))


def test_a_goal_is_broken_beyond_doubt_only_and_only_where_it_was_met():
    met, within = Measurement(100.0, 59.0), goal(limit=60.0)
    assert within.is_broken(met, Measurement(100.0, 61.0, 0.5))
    assert within.is_broken(met, Measurement(100.0, math.inf))
    assert not within.is_broken(met, Measurement(100.0, 61.0, 1.5))
    assert not within.is_broken(Measurement(100.0, 70.0), Measurement(100.0, 80.0))


def test_a_file_of_unknown_cost_corrects_no_limit():
    goals = [goal("a"), goal("b")]
    costs = dict.fromkeys("ab", Measurement(100.0, 59.0))
    asked = dict.fromkeys("ab", 60.0)
    assert corrected_by_delivery(goals, costs, asked, {"a": math.inf, "b": 59.0}) is None
    corrected = corrected_by_delivery(goals, costs, asked, {"a": math.inf, "b": 66.0})
    assert corrected is not None
    assert [each.limit for each in corrected] == [60.0, pytest.approx(60 * 60 / 66)]
