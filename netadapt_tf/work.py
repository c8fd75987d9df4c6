"""What all stages of an adaptation share."""

from dataclasses import dataclass, field

import tensorflow as tf

from netadapt_tf.problem import Problem
from netadapt_tf.search.delivery_folder import DeliveryFolder
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.stopwatch import Stopwatch


@dataclass(frozen=True)
class Work:
    """An adaptation that is under way.

    Attributes:
        problem: what is to be adapted, and to what.
        run: where everything finished is kept.
        clock: where the time goes.
        strategy: over whose devices the long stages are spread; None: over one.
        member: of the run's family, that is worked on; None: what the run itself delivers.
        tested: the metric of every `.tflite` that was tested on the test set.
    """

    problem: Problem
    run: RunDirectory
    clock: Stopwatch
    strategy: tf.distribute.Strategy | None = None
    member: DeliveryFolder | None = None
    tested: dict[bytes, float] = field(default_factory=dict)

    @property
    def into(self) -> DeliveryFolder:
        """Where the network that is worked on is delivered."""
        return self.member or self.run
