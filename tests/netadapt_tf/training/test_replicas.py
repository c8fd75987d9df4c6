import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.training.replicas import check_averages, copied, own_part, replica_count, strategy_of
from tests.tiny_networks import tiny_cnn
from tests.two_replicas import kept
from tflite_bench.errors import UserError

Weights = Callable[[str], list[np.ndarray]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Weights:
    folder = tmp_path_factory.mktemp("two_replicas")
    command = [sys.executable, "-m", "tests.two_replicas", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    return partial(kept, folder)


@pytest.mark.slow
@pytest.mark.parametrize("taught", ["", "taught_"])
def test_two_replicas_come_to_what_one_comes_to_but_for_rounding(weights, taught):
    """Parts of unequal size, an empty one and a loss of the weights included."""
    for start, one, two in zip(weights("start"), weights(taught + "one"), weights(taught + "two"), strict=True):
        assert np.abs(one - start).max() > 1e-3
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_loss_in_float64_is_split_as_well(weights):
    for two, precise in zip(weights("two"), weights("precise"), strict=True):
        np.testing.assert_allclose(precise, two, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_an_interrupted_stage_of_two_replicas_ends_as_one_that_was_not(weights):
    """Batch norm's statistics and the draws of dropout, which differ between replicas, included."""
    for one, other in zip(weights("random"), weights("random_resumed"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_batch_norm_and_dropout_make_it_another_result(weights):
    """Why the strategy is part of the request."""
    differences = [np.abs(a - b).max() for a, b in zip(weights("random"), weights("random_one"), strict=True)]
    assert all(np.isfinite(differences))
    assert max(differences) > 1e-3


def test_without_a_strategy_there_is_one_replica():
    assert strategy_of("none") is None
    assert replica_count("none") == 1


def test_one_device_trains_alone_and_that_is_said(caplog):
    mirrored = strategy_of("mirrored")
    assert mirrored is not None
    assert mirrored.num_replicas_in_sync == replica_count("mirrored") == 1
    assert "finds one device" in caplog.text


def test_one_replica_sees_all_of_a_batch():
    images, targets, share = own_part(tf.zeros([3, 8, 8, 3]), {"a": tf.range(3)})
    assert (images.shape[0], targets["a"].shape[0], share) == (3, 3, 1.0)


def test_a_copy_has_the_weights_and_shares_none():
    network = tiny_cnn()
    twin = copied(network)
    for one, other in zip(network.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one is not other


def test_a_loss_that_sums_is_refused():
    reductions = tf_keras.losses.Reduction
    check_averages(tf_keras.losses.MeanSquaredError())
    check_averages(lambda targets, outputs: outputs)
    with pytest.raises(UserError, match="sums over the batch"):
        check_averages(tf_keras.losses.MeanSquaredError(reduction=reductions.SUM))


def test_a_cluster_is_joined_before_tensorflow_is_used_or_not_at_all(monkeypatch):
    told = {"cluster": {"worker": ["127.0.0.1:9", "127.0.0.1:10"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(told))
    with pytest.raises(UserError, match="multi_worker is for the command netadapt, which joins"):
        strategy_of("multi_worker")
