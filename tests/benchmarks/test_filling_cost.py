import pytest

from benchmarks.filling_cost import Filled, asked_for, filled_at_random
from benchmarks.one_layer_models import Making, making_times, summary
from tests.tiny_networks import two_convolutions


def test_what_an_entry_costs_besides_is_what_was_not_spent_on_timing():
    filled = Filled(entries=20, readings=80, wall_s=5.0, timed_s=4.8)
    assert filled.other_ms == pytest.approx(10)
    assert str(filled) == ("20 entries in 5 s: 4.0 readings each, 240 ms of loading and timing each, 10.0 ms besides")


def test_both_ways_are_summed_up_by_the_ratio_of_each_layer():
    made = [Making("a", 0.001, 0.2), Making("b", 0.002, 0.2), Making("c", 0.001, 0.4)]
    text = summary(made)
    assert "1.0 ms by editing, 200 ms by the converter" in text
    assert text.endswith("converter / editing 200 (100 to 400)")


@pytest.mark.slow
def test_both_ways_make_the_same_layers(mobilenet):
    made = making_times(mobilenet, 3, seed=0)
    assert all(one.converted_s > one.edited_s > 0 for one in made)


@pytest.mark.slow
def test_a_search_asks_for_more_than_one_network_holds():
    network = two_convolutions()
    once = filled_at_random(network, 1, seed=0)
    asked = asked_for(network, 80, seed=0)
    assert once.readings >= 3 * once.entries
    assert 0 < once.timed_s < once.wall_s
    assert asked.iterations >= 1
    assert asked.filled.entries > once.entries
