"""A trained network whose answers are learned besides the targets (Hinton et al., 2015)."""

from dataclasses import dataclass

import tf_keras

from netadapt_tf.training.replicas import copied


@dataclass(frozen=True)
class Teacher:
    """Who teaches, and how much.

    Attributes:
        network: trained, of the same input and outputs as the network that is taught; it stays as it is.
        share: of the loss that is about its answers, see `Task.imitation`; the rest is about the targets.
    """

    network: tf_keras.Model
    share: float

    def copied(self) -> "Teacher":
        """The same in the scope of a strategy, with a replica on each device."""
        return Teacher(copied(self.network), self.share)
