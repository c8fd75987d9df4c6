"""One of two machines, both of them this one: `python -m tests.two_machines FOLDER SCENARIO`, with TF_CONFIG set.

The chief leaves the weights of each training in the folder, under its name. Scenarios: `whole`; `other data`, of the
follower; `chief lost` and `follower lost`, in the middle of a stage.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.cluster import cluster
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.followers import follow, led
from netadapt_tf.training.repeatable import make_repeatable
from netadapt_tf.training.replicas import strategy_of
from netadapt_tf.training.task import classification
from tests.tiny_networks import tiny_cnn
from tests.two_replicas import EPOCHS, regularised, shuffled, trained
from tflite_bench.errors import UserError

_MULTI_WORKER = "multi_worker"


def lead(folder: Path, scenario: str) -> None:
    """Trains, and keeps what comes of it."""

    def keep(content: bytes) -> None:
        kept = sorted(folder.glob("epoch_*"))
        (folder / f"epoch_{len(kept)}").write_bytes(content)
        if scenario == "chief lost":
            os.kill(os.getpid(), signal.SIGKILL)

    network, random = regularised(), tiny_cnn(dropout=0.5)
    results = {"start": network.get_weights()}
    with led(strategy_of(_MULTI_WORKER), cluster()):
        results["one"] = trained(regularised(), "none")
        results["two"] = trained(network, _MULTI_WORKER)
        results["random"] = trained(random, _MULTI_WORKER, Checkpoint(folder / "none", keep))
        assert len(list(folder.glob("epoch_*"))) == EPOCHS
        resumed = Checkpoint(folder / "epoch_0", lambda content: None)
        results["resumed"] = trained(tiny_cnn(dropout=0.5), _MULTI_WORKER, resumed)
    for name, weights in results.items():
        np.savez(folder / f"{name}.npz", *weights)


def train_along(scenario: str) -> int:
    """How many stages were trained along."""
    epochs = 0

    def counted(seed: int) -> tf.data.Dataset:
        nonlocal epochs
        epochs += 1
        if scenario == "follower lost" and epochs > 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return shuffled(seed).take(2) if scenario == "other data" else shuffled(seed)

    one = shuffled(0)
    datasets = Datasets(train=counted, holdout=one, test=one)
    return follow(strategy_of(_MULTI_WORKER), cluster(), classification(tiny_cnn()), datasets)


def main(folder: Path, scenario: str) -> None:
    """Leads or follows, as the environment says."""
    make_repeatable(1, _MULTI_WORKER)
    try:
        if cluster().is_chief:
            lead(folder, scenario)
        else:
            print("stages:", train_along(scenario))
    except UserError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
