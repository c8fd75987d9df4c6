import pytest

from benchmarks.rebuilding import KERAS, REBUILT, Iteration, Rebuilt, SideBySide, shares, speed_ups
from netadapt_tf.search.executors.executor import Bench
from netadapt_tf.training.task import classification
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import SETTINGS, corner_datasets, search, story


@pytest.mark.slow
def test_the_search_goes_as_if_nothing_were_rebuilt_beside_it(tmp_path):
    data = corner_datasets()
    executor = SideBySide(Bench(corner_datasets, classification(tiny_cnn()), SETTINGS))
    _, run = search(tmp_path / "beside", data, limit=0.75, executor=executor)
    _, alone = search(tmp_path / "alone", data, limit=0.75)
    assert story(run) == story(alone)
    assert len(executor.iterations) == len(story(run))
    for one in executor.iterations:
        for way in (REBUILT, KERAS):
            assert len(one.rebuilt[way].seconds) == len(one.accuracies)
            assert min(one.rebuilt[way].seconds) > 0
        assert one.rebuilt[REBUILT].accuracies == pytest.approx(one.accuracies, abs=2 / 32)


def an_iteration() -> tuple[Iteration, dict[str, float]]:
    """Three proposals of 2 s in steps, the first of which traces for 3 s, and 0.5 s in evaluation; and rebuilt ones."""
    rebuilt = {REBUILT: Rebuilt([5.0, 4.0, 4.0], [0.1, 0.3, 0.2]), KERAS: Rebuilt([7.0, 6.0, 6.0], [0.3, 0.1, 0.2])}
    lap = {"measure": 1.5, "search_overhead": 32.0 + 12.0}
    return Iteration([5.0, 2.0, 2.0], [0.5, 0.5, 0.5], [0.2, 0.6, 0.4], rebuilt), lap


def test_tracing_counts_as_everything_else():
    iteration, lap = an_iteration()
    found = shares([iteration], [lap])
    assert (found.training_s, found.evaluation_s, found.measuring_s, found.else_s) == (6.0, 1.5, 1.5, 4.5)
    assert "everything else 4.5 s (33.3%)" in str(found)


def test_measuring_is_left_out_of_both_sides_of_the_ratio():
    iteration, lap = an_iteration()
    assert speed_ups(REBUILT, [iteration], [lap]) == [13 / 12]
    assert speed_ups(KERAS, [iteration], [lap]) == [19 / 12]
    assert iteration.picks_alike(REBUILT)
    assert not iteration.picks_alike(KERAS)
