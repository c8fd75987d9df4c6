"""What a network is trained for: a loss to fall, and a metric to be judged by."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf
import tf_keras

Loss = Callable[[Any, Any], tf.Tensor]
"""(targets [B, ...], outputs [B, ...]) -> a number, or one for each example; any `tf_keras.losses.Loss` is one."""


@dataclass(frozen=True)
class Metric:
    """What proposals are ranked by, and what the summary reports.

    Attributes:
        name: for messages and `summary.json`.
        make: a `tf_keras.metrics.Metric` class, or a function that returns a new one; its `update_state` is given
            targets [B, ...] and outputs [B, ...], of the Keras network and of its `.tflite` alike.
        larger_is_better: whether a larger value is a better one.
    """

    name: str
    make: Callable[[], tf_keras.metrics.Metric]
    larger_is_better: bool = True

    def score(self, value: float) -> float:
        """The value so that larger is better; -inf, worse than all others, for NaN, which compares with none."""
        if math.isnan(value):
            return -math.inf
        return value if self.larger_is_better else -value


@dataclass(frozen=True)
class Task:
    """What training lessens, and what it is judged by.

    Attributes:
        loss: of targets and outputs.
        metric: what proposals are ranked by.
        imitation: the same as `loss` of a teacher's outputs and the own ones; None where no such loss is known, and
            nobody can teach.
    """

    loss: Loss
    metric: Metric
    imitation: Loss | None = None


TEMPERATURE = 2.0

_KEEPS_VALUES = (tf_keras.layers.Dropout, tf_keras.layers.Flatten, tf_keras.layers.Reshape)

ACCURACY = Metric("accuracy", tf_keras.metrics.SparseCategoricalAccuracy)
"""The share of right answers: targets int [B], outputs float32 [B, classes]."""


def classification(network: tf_keras.Model) -> Task:
    """Cross-entropy and accuracy, for a network of class scores [B, classes] and targets int [B]."""
    are_logits = not ends_in_softmax(network)
    return Task(
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=are_logits),
        ACCURACY,
        partial(softened_cross_entropy, are_logits=are_logits),
    )


def softened_cross_entropy(answers: tf.Tensor, outputs: tf.Tensor, are_logits: bool) -> tf.Tensor:
    """How far outputs are from a teacher's answers, both softened by a temperature, which shows what is alike to it.

    It counts times the temperature squared, so that its gradients are of the size of those of the labels' cross-entropy
    (Hinton et al., 2015, section 2).

    Args:
        answers: the teacher's class scores, float [B, classes].
        outputs: the scores of the network that is taught, float [B, classes].
        are_logits: whether scores are logits; they are probabilities otherwise.

    Returns:
        float32 [B].
    """
    taught, own = (_logits(scores, are_logits) / TEMPERATURE for scores in (answers, outputs))
    return TEMPERATURE**2 * tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(taught), own)


def _logits(scores: tf.Tensor, are_logits: bool) -> tf.Tensor:
    scores = tf.cast(scores, tf.float32)
    return scores if are_logits else tf.math.log(tf.maximum(scores, tf_keras.backend.epsilon()))


def ends_in_softmax(network: tf_keras.Model) -> bool:
    """Whether the network's output are probabilities rather than logits."""
    tensor = network.outputs[0]
    while isinstance(tensor.node.layer, _KEEPS_VALUES):
        tensor = tensor.node.keras_inputs[0]
    last = tensor.node.layer
    return (
        isinstance(last, tf_keras.layers.Softmax)
        or getattr(last, "symbol", "") == "nn.softmax"
        or getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
    )
