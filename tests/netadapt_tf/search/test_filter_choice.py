import numpy as np
import pytest

from netadapt_tf.search.filter_choice import l2_norms, random_scores, scale_norms, strongest, taylor_norms


def test_norms_by_hand():
    kernel = np.zeros((1, 2, 2, 3))  # [kh, kw, in, filters]
    kernel[0, 0, 0] = [3, 0, 1]
    kernel[0, 1, 1] = [-4, 2, 0]
    np.testing.assert_allclose(l2_norms([kernel]), [5, 2, 1])


def test_scales_by_hand():
    np.testing.assert_allclose(scale_norms([np.array([-2.0, 0.0, 1.0])]), [2, 0, 1])


def test_effects_by_hand():
    """Those of opposite sign do not cancel over batches, for the loss may rise or fall."""
    effects = np.array([[3.0, -1.0, 0.0], [-3.0, 7.0, 0.0]])  # [batches, filters]
    np.testing.assert_allclose(taylor_norms([effects]), [3, 5, 0])


@pytest.mark.parametrize(
    ("norms", "first", "second"),
    [
        (l2_norms, np.array([[3.0, 0.0]]), np.array([[4.0, 2.0]])),
        (scale_norms, np.array([3.0, 0.0]), np.array([-4.0, 2.0])),
        (taylor_norms, np.array([[3.0, 0.0], [3.0, 0.0]]), np.array([[4.0, -2.0], [4.0, 2.0]])),
    ],
)
def test_several_writers_add_their_squares(norms, first, second):
    np.testing.assert_allclose(norms([first, second]), [5, 2])


@pytest.mark.parametrize("norms", [l2_norms, scale_norms, taylor_norms])
def test_small_number_types_do_not_overflow(norms):
    values = np.full((2, 3) if norms is taylor_norms else (3,), 300.0, np.float16)
    scores = norms([values])
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, 300.0)


def test_random_scores_are_repeatable_and_another_seeds_are_others():
    scores = random_scores(50, 7)
    np.testing.assert_array_equal(random_scores(50, 7), scores)
    assert len(np.unique(scores)) == 50
    assert not np.array_equal(strongest(scores, 25), strongest(random_scores(50, 8), 25))


def test_the_strongest_in_their_old_order_and_the_first_of_equals():
    np.testing.assert_array_equal(strongest(np.array([1.0, 5.0, 2.0, 4.0]), 2), [1, 3])
    np.testing.assert_array_equal(strongest(np.array([2.0, 2.0, 2.0, 2.0]), 3), [0, 1, 2])
