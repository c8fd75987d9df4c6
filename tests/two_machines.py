"""One of two machines, both of them this one: `python -m tests.two_machines FOLDER SCENARIO`, with TF_CONFIG set.

The chief leaves the weights of each training in the folder, under its name. Scenarios: `whole`; `fewer images` and
`other images`, of the follower; `chief lost` and `follower lost`, in the middle of a stage; `follower fails`, in there
too, as TensorFlow does; `follower lost in the end`; `refused, follower lost`.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import tensorflow as tf

from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.cluster import cluster
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.followers import follow, led
from netadapt_tf.training.repeatable import make_repeatable
from netadapt_tf.training.replicas import strategy_of
from netadapt_tf.training.strategy_names import MULTI_WORKER, NONE
from netadapt_tf.training.task import classification
from tests.tiny_networks import tiny_cnn
from tests.two_replicas import EPOCHS, contrary_teacher, keep, regularised, shuffled, trained
from tflite_bench.errors import UserError

_PATIENCE_S = 5.0
_ASKED_IN_AN_EPOCH = 4  # for its batches, their number, the first and the form of them
_ASKED_IN_ALL = 3 * (3 + EPOCHS) + (3 + EPOCHS - 1)


def die() -> None:
    """At once, without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def lead(folder: Path, scenario: str) -> None:
    """Trains, and keeps what comes of it."""

    def keep_epoch(content: bytes) -> None:
        before = len(list(folder.glob("epoch_*")))
        (folder / f"epoch_{before}").write_bytes(content)
        if scenario == "chief lost":
            die()

    network, random = regularised(), tiny_cnn(dropout=0.5)
    results = {"start": network.get_weights()}
    with led(strategy_of(MULTI_WORKER)):
        if scenario == "refused, follower lost":
            time.sleep(_PATIENCE_S)
            raise UserError("the real reason")
        results["one"] = trained(regularised(), NONE)
        results["two"] = trained(network, MULTI_WORKER)
        results["random"] = trained(random, MULTI_WORKER, Checkpoint(folder / "nothing", keep_epoch))
        assert len(list(folder.glob("epoch_*"))) == EPOCHS
        resumed = Checkpoint(folder / "epoch_0", lambda content: None)
        results["taught_one"] = trained(regularised(), NONE, teacher=contrary_teacher())
        results["taught_two"] = trained(regularised(), MULTI_WORKER, teacher=contrary_teacher())
        results["resumed"] = trained(tiny_cnn(dropout=0.5), MULTI_WORKER, resumed)
        keep(folder, results)
        if scenario == "follower lost in the end":
            time.sleep(_PATIENCE_S)


def train_along(scenario: str) -> int:
    """How many stages were trained along."""
    asked = 0

    def shown(seed: int) -> tf.data.Dataset:
        nonlocal asked
        asked += 1
        if scenario == "follower lost" and asked > _ASKED_IN_AN_EPOCH:
            die()
        if scenario == "follower fails" and asked > _ASKED_IN_AN_EPOCH:
            raise tf.errors.InternalError(None, None, "no kernel")
        if scenario == "follower lost in the end" and asked == _ASKED_IN_ALL:
            threading.Timer(_PATIENCE_S / 2, die).start()
        if scenario == "fewer images":
            return shuffled(seed).take(2)
        return shuffled(seed + 1 if scenario == "other images" else seed)

    one = shuffled(0)
    if scenario == "refused, follower lost":
        die()
    return follow(
        strategy_of(MULTI_WORKER),
        lambda network: Datasets(train=shown, holdout=one, test=one),
        classification,
    )


def main(folder: Path, scenario: str) -> None:
    """Leads or follows, as the environment says."""
    make_repeatable(1, MULTI_WORKER)
    try:
        if cluster().is_chief:
            lead(folder, scenario)
        else:
            print("stages:", train_along(scenario))
    except UserError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
