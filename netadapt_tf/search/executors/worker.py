"""What a worker holds: its data set, and the traced step of the iteration that it works for.

Whatever changes how sums round or what is drawn at random is set as it is where the search runs, so that a worker's
result is the one that the search would have had itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.eager import context
from tf_keras.src.saving.serialization_lib import SafeModeScope, in_safe_mode

from netadapt_tf.networks.channel_groups import Channels, Kept
from netadapt_tf.networks.own_objects import own_objects
from netadapt_tf.search.executors.executor import Bench
from netadapt_tf.search.short_term import Portion, Result, ShortTerm, Stage
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.repeatable import make_repeatable


@dataclass(frozen=True)
class Parcel:
    """A stage as it can be sent.

    Attributes:
        iteration: its number.
        config: of the network.
        weights: of the network.
        own: the user's own classes and functions in the network, see `own_objects`.
        runs_programs: whether the network may hold Python code.
        seed: of the search's whole process, which shuffling mixes with its own; None where none is set.
        channels: of the network.
        kept: see `Stage`.
    """

    iteration: int
    config: Mapping[str, Any]
    weights: Sequence[np.ndarray]
    own: Mapping[str, Any]
    runs_programs: bool
    seed: int | None
    channels: Channels
    kept: Kept

    @classmethod
    def of(cls, stage: Stage) -> "Parcel":
        """Packs a stage."""
        return cls(
            iteration=stage.iteration,
            config=stage.network.get_config(),
            weights=stage.network.get_weights(),
            own=own_objects(stage.network.layers),
            runs_programs=in_safe_mode() is False,
            seed=context.global_seed(),
            channels=stage.channels,
            kept=stage.kept,
        )

    def opened(self) -> Stage:
        """The stage, its network built anew."""
        self._seed()  # initializers of the user's own may draw without a seed, which nothing repeatable may
        with SafeModeScope(not self.runs_programs), tf_keras.saving.custom_object_scope(dict(self.own)):
            network = tf_keras.Model.from_config(dict(self.config))
        network.set_weights(self.weights)
        self._seed()
        return Stage(self.iteration, network, self.channels, self.kept)

    def _seed(self) -> None:
        if self.seed is not None:
            tf.random.set_seed(self.seed)


class Worker:
    """Fine-tunes proposals wherever it lives."""

    def __init__(self, threads: int, bench: Callable[[], Bench]) -> None:
        """Sets TensorFlow up and makes the data set, both once; TensorFlow has not been used yet.

        Args:
            threads: of one operation, see `threads_here`.
            bench: returns what all fine-tunes have in common; it may hold tensors, so it is read once all is set up.
        """
        make_repeatable(threads)
        tf.get_logger().setLevel("ERROR")  # it warns of a step that is traced anew, as each iteration's is
        self._bench = bench()
        self._datasets = self._bench.datasets()
        self._short_term: ShortTerm

    def begin(self, parcel: Parcel) -> None:
        """A new iteration; the step of the last one is forgotten."""
        tf_keras.backend.clear_session()
        stage = parcel.opened()
        self._short_term = ShortTerm(stage, self._datasets, self._bench.task, self._bench.settings, Stopwatch())

    def fine_tune(self, portion: Portion) -> Result:
        """See `ShortTerm.fine_tune`."""
        return self._short_term.fine_tune(portion)


def threads_here() -> int:
    """Threads of one operation in this process; 0 for one for each core."""
    return tf.config.threading.get_intra_op_parallelism_threads()
