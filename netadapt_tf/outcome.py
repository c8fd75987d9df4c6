"""What an adaptation gives back, to Python and in `summary.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tf_keras

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.search.delivery_folder import DeliveryFolder
from netadapt_tf.search.run_directory import RunDirectory


@dataclass(frozen=True)
class BudgetOutcome:
    """A budget, and what the delivered network costs.

    Attributes:
        budget: as it was asked for.
        asked: the most that it allows, in `unit`.
        reached: what the delivered network costs, in `unit`.
        unit: `ms`, `MACs`, `parameters`, `bytes`, or that of a resource of your own.
        met: whether `reached` is at most `asked`.
    """

    budget: str
    asked: float
    reached: float
    unit: str
    met: bool


@dataclass(frozen=True)
class AdaptedNetwork:
    """The adapted network, its files and its figures.

    Attributes:
        network: the adapted network, float32 [N, H, W, C] -> outputs [N, ...] as the starting one.
        keras_path: the same as a file.
        tflite_path: the same for TensorFlow Lite; its input is [1, H, W, C], float32 or int8.
        widths: number of filters by channel group.
        budgets: each budget and whether it is met.
        metric: the metric on the test set, of the `.tflite` files: `before`, `after_search` (before the last stage)
            and `after`.
        summary: everything that `summary.json` holds.
    """

    network: tf_keras.Model
    keras_path: Path
    tflite_path: Path
    widths: Widths
    budgets: tuple[BudgetOutcome, ...]
    metric: Mapping[str, float]
    summary: Mapping[str, Any]


def adapted_network(
    run: RunDirectory, summary: Mapping[str, Any], folder: DeliveryFolder | None = None
) -> AdaptedNetwork:
    """What a finished run directory holds.

    Args:
        run: the directory.
        summary: of the delivered network.
        folder: of a member of the run's family; by default what the run itself delivers.
    """
    folder = folder or run
    network = folder.load_network("adapted.keras")
    return AdaptedNetwork(
        network=network,
        keras_path=folder.file("adapted.keras"),
        tflite_path=folder.file("adapted.tflite"),
        widths=run.widths(summary["iterations"]),
        budgets=tuple(BudgetOutcome(**row) for row in summary["budgets"]),
        metric=summary["accuracy"],
        summary=summary,
    )
