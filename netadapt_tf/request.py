"""Everything that the flags of `netadapt_tf.adapt` ask for."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.resources.budget import Budget
from netadapt_tf.search.executors.place import Place
from netadapt_tf.settings import Settings
from netadapt_tf.training.data_names import HOLDOUT_IMAGES


@dataclass(frozen=True)
class Request:
    """The flags, which `--help` explains each."""

    network: str
    alpha: float | None
    resolution: int | None
    weights: str | None
    dataset: str
    budgets: tuple[Budget, ...]
    run_dir: Path
    table: Path | None
    benchmark_models: tuple[str, ...]
    table_only: bool
    preprocessing: str
    augmentation: str
    batch_size: int
    holdout_images: int | None
    train_images: int | None
    threads: int
    allow_lambda: bool
    trust_saved_model: bool
    settings: Settings
    place: Place = field(default_factory=Place)
    tensorboard: bool = False

    @property
    def is_from_file(self) -> bool:
        """Whether the network is a file rather than one that can be built by name."""
        return self.network not in NETWORKS

    @property
    def alpha_or_default(self) -> float:
        """The width multiplier of a network that is built by name."""
        return 1.0 if self.alpha is None else self.alpha

    @property
    def resolution_or_default(self) -> int:
        """The input's height and width in pixels, of a network that is built by name."""
        return 224 if self.resolution is None else self.resolution

    def identity(self) -> dict[str, Any]:
        """What is adapted, data included, as JSON values.

        A file of a network or of weights counts by its contents; once a run has begun it has its own copy and the file
        may be gone.
        """
        names = ("dataset", "preprocessing", "augmentation", "batch_size", "train_images", "threads")
        values = {name: getattr(self, name) for name in names}
        values["holdout_images"] = HOLDOUT_IMAGES if self.holdout_images is None else self.holdout_images
        if not self.is_from_file:
            size = {"alpha": self.alpha_or_default, "resolution": self.resolution_or_default}
            return {"network": self.network, **size, **_by_contents("weights", self.weights), **values}
        return {**_by_contents("network", self.network), **values}


def _by_contents(what: str, name: str | None) -> dict[str, str | None]:
    """A file as part of an identity, under its name and, as long as it is there, its digest."""
    if name is None:
        return {what: None}
    file = Path(name)
    digest = {f"{what}_sha256": hashlib.sha256(file.read_bytes()).hexdigest()} if file.is_file() else {}
    return {what: file.name, **digest}
