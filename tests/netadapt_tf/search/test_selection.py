import math
from itertools import permutations

import pytest

from netadapt_tf.search.selection import PICKS, Outcome, Standing

STANDING = Standing(cost=10.0, score=0.9)
SLIGHT = Outcome("slight", 56, cost=9.5, score=0.89, loss=0.4)
DEEP = Outcome("deep", 8, cost=6.0, score=0.88, loss=0.5)
EQUAL = Outcome("equal", 24, cost=9.0, score=0.89, loss=0.4)


def test_highest_accuracy_and_the_first_of_equals():
    assert PICKS["highest_accuracy"]([DEEP, SLIGHT, EQUAL], STANDING) is SLIGHT


def test_lowest_loss_tells_apart_what_is_as_accurate():
    surer = Outcome("surer", 40, cost=9.0, score=0.88, loss=0.39)
    assert PICKS["lowest_loss"]([DEEP, SLIGHT, surer, EQUAL], STANDING) is surer
    assert PICKS["lowest_loss"]([DEEP, SLIGHT, EQUAL], STANDING) is SLIGHT


def test_best_ratio_weighs_what_is_saved():
    assert PICKS["best_ratio"]([SLIGHT, DEEP, EQUAL], STANDING) is DEEP


def test_of_proposals_that_lose_nothing_the_deeper_cut_wins():
    better, better_and_deeper = (
        Outcome(name, 8, cost, score=0.92, loss=0.3) for name, cost in (("a", 9.5), ("b", 9.0))
    )
    assert PICKS["best_ratio"]([DEEP, better, better_and_deeper], STANDING) is better_and_deeper


def test_a_proposal_that_saves_nothing_comes_last():
    free = Outcome("free", 8, cost=10.0, score=0.95, loss=0.2)
    assert PICKS["best_ratio"]([free, DEEP], STANDING) is DEEP
    assert PICKS["best_ratio"]([free], STANDING) is free


@pytest.mark.parametrize("pick", PICKS)
def test_a_proposal_without_a_score_comes_last_of_all(pick):
    broken = Outcome("broken", 8, cost=1.0, score=-math.inf, loss=math.inf)
    costly = Outcome("costly", 8, cost=11.0, score=0.1, loss=2.0)
    for order in permutations([broken, costly]):
        assert PICKS[pick](order, STANDING) is costly


@pytest.mark.parametrize("pick", PICKS)
def test_after_a_network_without_a_score_the_most_accurate_wins(pick):
    broken = Outcome("broken", 8, cost=1.0, score=-math.inf, loss=math.inf)
    for order in permutations([broken, DEEP, SLIGHT]):
        assert PICKS[pick](order, Standing(cost=10.0, score=-math.inf)) is SLIGHT
