"""A small search, its family, and what their directories hold."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netadapt_tf import AdaptedNetwork, adapt_network, finetune_iterations, members
from netadapt_tf.search.journal import Journal
from tests.tiny_adaptation import QUICK, corner_datasets
from tests.tiny_networks import tiny_cnn

BUDGET = "latency@host/cpu:1=60%"
SETTINGS = dataclasses.replace(QUICK, initial_reduction=0.1, long_term_epochs=3)


def adapt(run_dir: Path, budget: str = BUDGET) -> AdaptedNetwork:
    return adapt_network(tiny_cnn(dropout=0.5), corner_datasets(), [budget], run_dir, settings=SETTINGS)


def deliver(run_dir: Path, **asked: Any) -> tuple[AdaptedNetwork, ...]:
    return finetune_iterations(run_dir, corner_datasets(), **asked)


def killed_at(step: str, monkeypatch: pytest.MonkeyPatch, run_dir: Path, **asked: Any) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(members, step, killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(run_dir, **asked)


def records(run_dir: Path) -> list[dict]:
    return list(Journal(run_dir / "journal.jsonl").events("iteration"))


def story(run_dir: Path) -> list[dict]:
    """What the search found out, without what no two runs have alike."""
    return [
        {key: value for key, value in record.items() if key not in ("wall_s", "sha256")}
        for record in Journal(run_dir / "journal.jsonl").events()
        if record["event"] != "cost"
    ]


def same_weights(one: AdaptedNetwork, other: AdaptedNetwork) -> None:
    for ours, theirs in zip(one.network.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
