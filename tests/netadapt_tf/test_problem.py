import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.problem import Problem, problem_of
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.settings import Settings
from netadapt_tf.training.datasets import Datasets
from tests.tiny_networks import tiny_cnn
from tflite_bench.errors import UserError


def problem(tmp_path, settings: Settings) -> Problem:
    batches = tf.data.Dataset.from_tensor_slices((np.zeros((4, 8, 8, 3), np.float32), np.arange(4))).batch(2)
    budgets = parse_budgets(["macs=60%"])
    data = Datasets(batches, batches, batches)
    return problem_of(tiny_cnn(), data, budgets, None, None, settings, tmp_path / "table.sqlite", (), False, {})


def test_what_is_asked_to_be_locked_is(tmp_path):
    locked = problem(tmp_path, Settings(lock="sec.*"))
    assert locked.channels.widths == {"first": 8}
    assert {group.name: group.lock for group in locked.channels.groups}["second"] == "asked for by lock=sec.*"
    with pytest.raises(UserError, match="lock=sec matches no layer that writes channels; these do: first, second"):
        problem(tmp_path, Settings(lock="sec"))
    with pytest.raises(UserError, match="no channel group that can shrink"):
        problem(tmp_path, Settings(lock="first|second"))
