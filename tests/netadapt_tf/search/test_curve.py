from hypothesis import given
from hypothesis import strategies as st

from netadapt_tf.search.curve import Point, along_curve, unbeaten

AMOUNTS = st.integers(1, 12).map(float)


@st.composite
def searches(draw) -> list[Point]:
    """Curves that rise and fall, with equal points, and iterations that could not be judged."""
    scores = st.one_of(AMOUNTS, st.just(float("-inf")))
    pairs = draw(st.lists(st.tuples(AMOUNTS, scores), min_size=1, max_size=12))
    return [Point(iteration, cost, score) for iteration, (cost, score) in enumerate(pairs)]


def beats(one: Point, other: Point) -> bool:
    return (one.cost < other.cost and one.score >= other.score) or (one.cost <= other.cost and one.score > other.score)


@given(searches())
def test_who_is_unbeaten_is_beaten_by_nobody_and_all_others_are(points):
    front = unbeaten(points)
    assert not [(one, other) for one in front for other in points if beats(other, one)]
    assert all(any(beats(other, one) for other in front) for one in points if one not in front)


@given(searches(), st.integers(1, 14))
def test_the_last_is_chosen_and_otherwise_the_unbeaten_where_they_are_enough_once_and_in_order(points, count):
    chosen = along_curve(points, count)
    front = {point.iteration for point in unbeaten(points)} - {0, points[-1].iteration}
    assert chosen == sorted(set(chosen))
    if len(points) == 1:
        assert not chosen
        return
    assert chosen[-1] == points[-1].iteration
    assert len(chosen) == min(count, len(points) - 1)
    if len(front) >= count - 1:
        assert set(chosen[:-1]) <= front


@given(searches(), st.integers(1, 14))
def test_nobody_who_is_left_out_is_nearer_to_the_end_of_the_first_step(points, count):
    chosen = along_curve(points, count)
    if len(chosen) < 2:
        return
    start, *inner, last = points
    wanted = start.cost + (last.cost - start.cost) / count
    front = [point for point in unbeaten(points) if point in inner]
    inner = front if len(front) >= count - 1 else inner
    assert min(inner, key=lambda point: abs(point.cost - wanted)).iteration in chosen


def test_iterations_at_the_ends_of_equal_steps_are_chosen():
    points = [Point(number, 100.0 - 5 * number, 100.0 - number) for number in range(11)]
    assert along_curve(points, 5) == [2, 4, 6, 8, 10]
    assert along_curve(points, 2) == [5, 10]
    assert along_curve(points, 1) == [10]
    assert along_curve(points, 99) == list(range(1, 11))


def test_a_network_that_a_smaller_one_beats_is_no_part_of_the_curve_unless_it_is_the_last_or_there_are_too_few():
    points = [Point(0, 10.0, 0.9), Point(1, 8.0, 0.7), Point(2, 6.0, 0.8), Point(3, 5.0, 0.6), Point(4, 5.5, 0.5)]
    assert along_curve(points, 3) == [2, 3, 4]
    assert along_curve(points, 4) == [1, 2, 3, 4]
