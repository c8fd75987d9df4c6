"""Everything that the flags of `netadapt_tf.adapt` ask for."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netadapt_tf.resources.budget import Budget
from netadapt_tf.settings import Settings

NETWORKS = ("mobilenet_v1",)


@dataclass(frozen=True)
class Request:
    """The flags, which `--help` explains each."""

    network: str
    alpha: float | None
    resolution: int | None
    dataset: str
    budget: Budget
    run_dir: Path
    table: Path | None
    preprocessing: str
    batch_size: int
    holdout_images: int
    train_images: int | None
    threads: int
    allow_lambda: bool
    trust_saved_model: bool
    settings: Settings

    @property
    def is_from_file(self) -> bool:
        """Whether the network is a file rather than one that can be built by name."""
        return self.network not in NETWORKS

    def identity(self) -> dict[str, Any]:
        """What is adapted, data included, as JSON values.

        A network's file counts by its contents; once a run has begun it has its own copy and the file may be gone.
        """
        values = {
            name: getattr(self, name)
            for name in (
                *("network", "alpha", "resolution", "dataset", "preprocessing", "batch_size"),
                *("holdout_images", "train_images", "threads"),
            )
        }
        file = Path(self.network)
        if file.is_file():
            values["network_sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return values
