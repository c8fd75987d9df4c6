"""Networks whose branches are added, from start to end on this machine."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from netadapt_tf import Datasets, Settings, adapt_network
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from tests.sweep import with_sweep
from tests.tiny_adaptation import four_corners
from tests.tiny_networks import randomised
from tflite_bench import runtime
from tflite_bench.host import HostMeter
from tflite_bench.target import parse_target
from tflite_bench.timing import Pair

LATENCY = "latency@host/cpu:1"
V2 = (
    "--network=mobilenet_v2 --alpha=0.35 --resolution=64 --dataset=fashion_mnist_12k --train_images=600 "
    "--holdout_images=100 --pretrain_epochs=1 --batch_size=64 --initial_reduction=0.2 --short_term_steps=1 "
    "--filter_multiple=32 --long_term_epochs=1"
)


def measured_ratio(start: bytes, adapted: bytes) -> float:
    with HostMeter(parse_target("host/cpu:1")) as meter:
        return meter.compare(Pair(start, adapted)).ratio


@pytest.mark.slow
@pytest.mark.parametrize("cost", with_sweep(["macs", LATENCY], ["macs"]))
def test_mobilenet_v2_meets_a_budget_of_its_work_and_one_of_its_size(tmp_path, cost):
    run_dir = tmp_path / "run"
    budgets = [f"{cost}=80%", "tflite_bytes=80%"]
    flags = [*shlex.split(V2), *(f"--budget={budget}" for budget in budgets), f"--run_dir={run_dir}"]
    command = [sys.executable, "-m", "netadapt_tf.adapt", *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert result.returncode == 0, result.stderr
    summary = json.loads((run_dir / "summary.json").read_text())
    assert [(row["budget"], row["met"]) for row in summary["budgets"]] == [(budget, True) for budget in budgets]
    start, adapted = ((run_dir / f"{name}.tflite").read_bytes() for name in ("start", "adapted"))
    if cost == LATENCY:
        assert measured_ratio(start, adapted) <= 0.85
    assert len(adapted) <= 0.8 * len(start)
    network = load_network(run_dir / "adapted.keras")
    shrunk = find_channels(network).widths
    before = json.loads((run_dir / "iterations" / "000" / "widths.json").read_text())
    assert len(shrunk) == len(before) == 25
    assert sum(shrunk[name] < filters for name, filters in before.items()) >= 2
    images = np.random.default_rng(0).uniform(-1, 1, (8, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(runtime.outputs(adapted, images), network(images), atol=1e-4)


def residual_network() -> tf_keras.Model:
    """A stem, two residual blocks, and one that halves the map and widens it, as in ResNet."""

    def normalised(x, filters: int, name: str, strides: int = 1, size: int = 3):
        x = layers.Conv2D(filters, size, strides, padding="same", name=name)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    def block(x, filters: int, name: str, strides: int = 1):
        shortcut = x if strides == 1 else normalised(x, filters, f"{name}_0", strides, size=1)
        x = layers.ReLU()(normalised(x, filters, f"{name}_1", strides))
        return layers.ReLU()(layers.Add()([shortcut, normalised(x, filters, f"{name}_2")]))

    images = layers.Input((32, 32, 3))
    x = layers.ReLU()(normalised(images, 32, "stem"))
    x = block(block(block(x, 32, "a"), 32, "b"), 64, "c", strides=2)
    x = layers.Dense(4, activation="softmax", name="classes")(layers.GlobalAveragePooling2D()(x))
    return randomised(tf_keras.Model(images, x, name="residual"))


def large_corners() -> Datasets:
    def part(seed: int) -> tf.data.Dataset:
        images, labels = four_corners(seed=seed)
        return tf.data.Dataset.from_tensor_slices((images.repeat(4, 1).repeat(4, 2), labels)).batch(
            16
        )  # [B, 32, 32, 3]

    return Datasets(train=lambda seed: part(0).shuffle(8, seed=seed), holdout=part(1), test=part(2))


@pytest.mark.slow
def test_residual_blocks_end_within_budget_by_measurement(tmp_path):
    network = residual_network()
    settings = Settings(
        short_term_steps=2, long_term_epochs=1, initial_reduction=0.2, filter_multiple=16, long_term_learning_rate=0.01
    )
    result = adapt_network(network, large_corners(), ["latency@host/cpu:1=60%"], tmp_path / "run", settings=settings)
    assert result.budgets[0].met
    assert set(result.widths) == {"stem", "a_1", "b_1", "c_0", "c_1"}
    start = (tmp_path / "run" / "start.tflite").read_bytes()
    assert measured_ratio(start, result.tflite_path.read_bytes()) <= 0.65
    assert result.network.count_params() < network.count_params()
