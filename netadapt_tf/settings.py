"""How to adapt: the numbers and choices that change the result, with their defaults."""

from dataclasses import dataclass

from netadapt_tf.search.schedule import Schedule
from netadapt_tf.search.selection import PICKS
from tflite_bench.errors import UserError

FINALS = ("fine_tune", "retrain")


@dataclass(frozen=True)
class Settings:
    """The choices of one adaptation; `netadapt_tf.adapt --help` says what suits ImageNet.

    Attributes:
        pretrain_epochs: epochs of training before the search; 0 for a network that is trained.
        initial_reduction: what the first iteration saves, as a share of the starting network's cost.
        reduction_decay: each iteration saves this times what the one before did.
        short_term_steps: training steps of each proposal.
        short_term_learning_rate: constant.
        long_term_epochs: epochs of fine-tuning after the search.
        long_term_learning_rate: of pre-training and the last stage, at their first step; falls along a cosine.
        final: the last stage: `fine_tune` what the search found, or `retrain` its shape from fresh weights, for
            as many epochs as pre-training and long-term fine-tune together.
        pick: which proposal wins, `highest_accuracy` (the paper) or `best_ratio` (least lost per cost saved).
        filter_multiple: numbers of filters are multiples of this, of half of it in groups of under four times it.
        seed: of weights, shuffling and proposals.
    """

    pretrain_epochs: int = 0
    initial_reduction: float = 0.05
    reduction_decay: float = 0.96
    short_term_steps: int = 20
    short_term_learning_rate: float = 0.005
    long_term_epochs: int = 8
    long_term_learning_rate: float = 0.05
    final: str = "fine_tune"
    pick: str = "highest_accuracy"
    filter_multiple: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses choices that do not exist."""
        for name, known in (("final", FINALS), ("pick", tuple(PICKS))):
            if getattr(self, name) not in known:
                raise UserError(f"{name} is {getattr(self, name)!r}; it should be {' or '.join(known)}")
        for name in ("initial_reduction", "reduction_decay"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; it should be above 0 and at most 1")

    @property
    def schedule(self) -> Schedule:
        """How much each iteration must save."""
        return Schedule(self.initial_reduction, self.reduction_decay)

    @property
    def final_epochs(self) -> int:
        """Epochs of the last stage."""
        return self.long_term_epochs + (self.pretrain_epochs if self.final == "retrain" else 0)
