import numpy as np
import pytest

from benchmarks.uniform import shrunk_by_l2, uniform_widths, widest_within
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1_widths
from netadapt_tf.networks.tracing import find_channels

START = mobilenet_v1_widths(0.25)


def test_all_groups_shrink_by_about_the_same_share():
    half = uniform_widths(START, 0.5, 8)
    assert half == {name: filters // 2 for name, filters in START.items()}
    assert uniform_widths(START, 1.0, 8) == START
    third = uniform_widths(START, 1 / 3, 8)
    assert third["conv_pw_13"] == 88
    assert all(third[name] % 4 == 0 for name in START)


@pytest.mark.parametrize("limit", [200, 700, 1300])
def test_the_widest_within_budget_is_found(limit):
    found = widest_within(START, 8, lambda widths: sum(widths.values()) <= limit)
    assert found is not None
    assert sum(found.values()) <= limit
    wider = [uniform_widths(START, share, 8) for share in np.linspace(0, 1, 500)]
    assert not any(sum(found.values()) < sum(widths.values()) <= limit for widths in wider)


def test_where_nothing_is_within_budget_that_is_said():
    assert widest_within(START, 8, lambda widths: False) is None


def test_the_strongest_filters_stay(cnn):
    narrower = shrunk_by_l2(cnn, {"first": 3, "second": 5})
    assert find_channels(narrower).widths == {"first": 3, "second": 5}
    norms = np.linalg.norm(cnn.get_layer("first").get_weights()[0].reshape(-1, 8), axis=0)
    kept = np.linalg.norm(narrower.get_layer("first").get_weights()[0].reshape(-1, 3), axis=0)
    np.testing.assert_allclose(np.sort(kept), np.sort(norms)[-3:])
