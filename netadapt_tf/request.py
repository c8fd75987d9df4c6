"""Everything that one adaptation is asked for."""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netadapt_tf.resources.budget import Budget
from tflite_bench.target import Target, parse_target

_DEFAULT_TARGET = "host/cpu:1"
_NO_INFLUENCE = ("budget", "run_dir", "table")


@dataclass(frozen=True)
class Request:
    """The flags of `netadapt_tf.adapt`, whose `--help` explains each."""

    network: str
    alpha: float
    resolution: int
    dataset: str
    budget: Budget
    run_dir: Path
    table: Path
    preprocessing: str
    pretrain_epochs: int
    batch_size: int
    initial_reduction: float
    reduction_decay: float
    short_term_steps: int
    short_term_learning_rate: float
    long_term_epochs: int
    long_term_learning_rate: float
    pick: str
    filter_multiple: int
    holdout_images: int
    train_images: int | None
    seed: int
    threads: int

    def influential(self) -> dict[str, Any]:
        """What changes results, as JSON values: two requests alike in this give the same networks.

        A network's file counts by its contents; once a run has begun it has its own copy and the file may be gone.
        """
        values = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _NO_INFLUENCE
        }
        file = Path(self.network)
        if file.is_file():
            values["network_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return values

    @property
    def target(self) -> Target:
        """Where latency is measured: the budget's target, or one thread here when the budget has none."""
        return self.budget.target or parse_target(_DEFAULT_TARGET)
