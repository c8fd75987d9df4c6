"""What all stages of an adaptation share."""

from dataclasses import dataclass

import tensorflow as tf

from netadapt_tf.problem import Problem
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
    """

    problem: Problem
    run: RunDirectory
    clock: Stopwatch
    strategy: tf.distribute.Strategy | None = None
