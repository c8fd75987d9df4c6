"""How to adapt: the numbers and choices that change the result, with their defaults."""

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nextafter
from numbers import Integral, Real
from typing import Any, NamedTuple

from netadapt_tf.search.filter_choice import CRITERIA
from netadapt_tf.search.schedule import Schedule
from netadapt_tf.search.selection import PICKS
from netadapt_tf.training.strategy_names import NONE, STRATEGIES
from tflite_bench.errors import UserError
from tflite_bench.precision import MIN_CALIBRATION_IMAGES, PRECISIONS

FINALS = ("fine_tune", "retrain")


class _Range(NamedTuple):
    """What a number may be, and how that is said."""

    kind: type[int] | type[float]
    least: float
    most: float
    said: str


_LARGEST = 2**31 - 1
_COUNT = _Range(int, 0, _LARGEST, f"an integer from 0 to {_LARGEST}")
_LEARNING_RATE = _Range(float, 0.0, sys.float_info.max, "a finite number of at least 0")
_SHARE = _Range(float, nextafter(0.0, 1.0), 1.0, "a number above 0 and at most 1")
_SHARE_OR_NONE = _Range(float, 0.0, 1.0, "a number from 0 to 1")

_NUMBERS = {
    "pretrain_epochs": _COUNT,
    "pretrain_learning_rate": _LEARNING_RATE,
    "initial_reduction": _SHARE,
    "reduction_decay": _SHARE,
    "short_term_steps": _COUNT,
    "short_term_learning_rate": _LEARNING_RATE,
    "mid_term_epochs": _COUNT,
    "mid_term_learning_rate": _LEARNING_RATE,
    "long_term_epochs": _COUNT,
    "long_term_learning_rate": _LEARNING_RATE,
    "distillation": _SHARE_OR_NONE,
    "calibration_images": _Range(
        int, MIN_CALIBRATION_IMAGES, _LARGEST, f"an integer of {MIN_CALIBRATION_IMAGES} or more"
    ),
    "quantization_aware_epochs": _COUNT,
    "filter_multiple": _Range(int, 1, _LARGEST, f"an integer from 1 to {_LARGEST}"),
    "seed": _COUNT,
}
_CHOICES = {"final": FINALS, "filters": CRITERIA, "pick": tuple(PICKS), "precision": PRECISIONS, "strategy": STRATEGIES}


@dataclass(frozen=True)
class Settings:
    """The choices of one adaptation; `netadapt_tf.adapt --help` says what suits ImageNet.

    Attributes:
        pretrain_epochs: epochs of training before the search; 0 for a network that is trained.
        pretrain_learning_rate: of that training, at its first step; falls along a cosine.
        initial_reduction: what the first iteration saves, as a share of the starting network's cost.
        reduction_decay: each iteration saves this times what the one before did.
        short_term_steps: training steps of each proposal.
        short_term_learning_rate: constant.
        mid_term_epochs: of training of every iteration's picked network, before the next iteration begins with it.
        mid_term_learning_rate: at the first step of every mid-term fine-tune; falls along a cosine.
        long_term_epochs: epochs of fine-tuning after the search.
        long_term_learning_rate: of the last stage, at its first step; falls along a cosine.
        distillation: share of the last stage's loss that is about the starting network's answers (Hinton et al., 2015);
            the rest is about the targets. A loss of your own has no such share.
        final: the last stage: `fine_tune` what the search found, or `retrain` its shape from fresh weights, for
            as many epochs as pre-training and long-term fine-tune together; `long_term_epochs` alone where there is no
            pre-training, which should then be what training from scratch takes.
        precision: of the `.tflite` that is measured and delivered; see `tflite_bench.precision`.
        calibration_images: training images that tell int8 the range of every activation.
        quantization_aware_epochs: of int8, epochs of training that knows of the rounding, after the last stage; at the
            short-term learning rate, which falls along a cosine.
        pick: which proposal wins, by the hold-out set: `highest_accuracy` (the paper), `lowest_loss`, or `best_ratio`
            (least accuracy lost per cost saved).
        filters: which filters stay: those of the largest `l2` norm (the paper), of the largest scale in the batch norm
            behind them (`bn_scale`), those that the loss would miss most to first order (`taylor`), or `random` ones.
        lock: a regular expression; channel groups that a layer writes whose whole name it matches keep their filters.
        screen: whether all proposals get a part of their steps, and only the best few of them the rest.
        filter_multiple: numbers of filters are multiples of this, of half of it in groups of under four times it.
        seed: of weights, shuffling and proposals.
        strategy: of pre-training and the last stage: `none`, on one device, or `mirrored`, every batch split over all
            GPUs of this machine, or `multi_worker`, over those of several, for the command alone. It changes more than
            rounding: each has the batch norm statistics of its own part.
    """

    pretrain_epochs: int = 0
    pretrain_learning_rate: float = 0.05
    initial_reduction: float = 0.05
    reduction_decay: float = 0.96
    short_term_steps: int = 20
    short_term_learning_rate: float = 0.005
    mid_term_epochs: int = 0
    mid_term_learning_rate: float = 0.04
    long_term_epochs: int = 8
    long_term_learning_rate: float = 0.05
    distillation: float = 0.5
    final: str = "fine_tune"
    precision: str = "float32"
    calibration_images: int = 256
    quantization_aware_epochs: int = 0
    pick: str = "highest_accuracy"
    filters: str = "l2"
    lock: str = ""
    screen: bool = False
    filter_multiple: int = 8
    seed: int = 0
    strategy: str = NONE

    def __post_init__(self) -> None:
        """Refuses what cannot be; NumPy's numbers become Python's, which JSON can hold."""
        for name, known in _CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in known:
                raise UserError(f"{name} is {value!r}; it should be {' or '.join(known)}")
        if not isinstance(self.lock, str):
            raise UserError(f"lock is {self.lock!r}; it should be a text")
        if not isinstance(self.screen, bool):
            raise UserError(f"screen is {self.screen!r}; it should be True or False")
        try:
            re.compile(self.lock)
        except (re.error, OverflowError, RecursionError) as error:
            raise UserError(f"lock is {self.lock!r}; it should be a regular expression ({error})") from error
        for name, (kind, least, most, said) in _NUMBERS.items():
            value = getattr(self, name)
            is_kind = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
            if not is_kind or not least <= value <= most:
                raise UserError(f"{name} is {value!r}; it should be {said}")
            object.__setattr__(self, name, kind(value))
        if self.quantization_aware_epochs and self.precision != "int8":
            raise UserError(f"quantization_aware_epochs is for precision int8; the precision is {self.precision}")

    @property
    def schedule(self) -> Schedule:
        """How much each iteration must save."""
        return Schedule(self.initial_reduction, self.reduction_decay)

    @property
    def final_epochs(self) -> int:
        """Epochs of the last stage."""
        return self.long_term_epochs + (self.pretrain_epochs if self.final == "retrain" else 0)


def with_settings_before(known: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier run is known to have done, and of settings that came after it what it did.

    That is the default but for what came with the setting: a teacher, and a learning rate for pre-training alone.
    """
    before = asdict(Settings()) | {"distillation": 0.0} | dict(known)
    if before["pretrain_epochs"]:
        before["pretrain_learning_rate"] = before["long_term_learning_rate"]
    return before | dict(known)
