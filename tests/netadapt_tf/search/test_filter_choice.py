import numpy as np

from netadapt_tf.search.filter_choice import l2_norms, strongest


def test_norms_by_hand():
    kernel = np.zeros((1, 2, 2, 3))  # [kh, kw, in, filters]
    kernel[0, 0, 0] = [3, 0, 1]
    kernel[0, 1, 1] = [-4, 2, 0]
    np.testing.assert_allclose(l2_norms([kernel]), [5, 2, 1])


def test_several_writers_add_their_squares():
    np.testing.assert_allclose(l2_norms([np.array([[3.0, 0.0]]), np.array([[4.0, 2.0]])]), [5, 2])


def test_the_strongest_in_their_old_order_and_the_first_of_equals():
    np.testing.assert_array_equal(strongest(np.array([1.0, 5.0, 2.0, 4.0]), 2), [1, 3])
    np.testing.assert_array_equal(strongest(np.array([2.0, 2.0, 2.0, 2.0]), 3), [0, 1, 2])
