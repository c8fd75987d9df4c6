"""What a comparison is about."""

from dataclasses import dataclass

from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.settings import Settings
from tflite_bench.errors import UserError
from tflite_bench.target import Target, parse_target


@dataclass(frozen=True)
class Problem:
    """What is compared; seeds are not part of it, nor which rows are wanted.

    Attributes:
        network: the starting network, by name.
        alpha: its width multiplier.
        resolution: height and width of its input, in pixels.
        dataset: see `netadapt_tf.adapt`.
        train_images: training images, hold-out images included.
        holdout_images: of them, to rank proposals.
        target: where latency is measured.
        percents: the latency budgets, the largest first; each is a leg of one search.
        threads: training threads of one operation, which change how sums round.
        settings: how to train and to search; the seed is each row's.
    """

    network: str
    alpha: float
    resolution: int
    dataset: str
    train_images: int
    holdout_images: int
    target: str
    percents: tuple[int, ...]
    threads: int
    settings: Settings

    def __post_init__(self) -> None:
        """Refuses budgets that are none, or in no order, and targets that cannot be."""
        for percent in self.percents:
            parse_budget(f"latency@{self.target}={percent}%")
        if list(self.percents) != sorted(set(self.percents), reverse=True) or 100 in self.percents:
            raise UserError("--percents should list latency budgets below 100, the largest first, for example 70,50,35")

    @property
    def measured_on(self) -> Target:
        """Where latency is measured."""
        return parse_target(self.target)
