"""Learning from labels and from a teacher's answers (Hinton et al., 2015), as a loss and data sets for `train`."""

import tensorflow as tf
import tf_keras

from netadapt_tf.training.datasets import Shuffled
from netadapt_tf.training.task import ACCURACY, Task

TEMPERATURE = 2.0
TEACHERS_SHARE = 0.5


def taught(dataset: Shuffled, teacher: tf_keras.Model) -> Shuffled:
    """The batches of a set, their targets with the teacher's answers: (int64 [B], float32 [B, classes]).

    Args:
        dataset: of (images float32 [B, H, W, C], labels int64 [B]).
        teacher: answers with probabilities.
    """
    teacher.trainable = False

    def answered(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
        return images, (labels, teacher(images, training=False))

    return lambda seed: dataset(seed).map(answered).prefetch(1)


def distillation() -> Task:
    """Half cross-entropy of the labels, half that of the teacher's answers, both softened by the temperature.

    For networks whose outputs are probabilities [B, classes]. The softened part counts times the temperature squared,
    so that its gradients are of the same size.
    """
    of_labels = tf_keras.losses.SparseCategoricalCrossentropy()

    def loss(targets: tuple[tf.Tensor, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        labels, answers = targets
        soft = tf.reduce_sum(_softened(answers) * tf.math.log(_softened(outputs)), axis=-1)
        of_teacher = -(TEMPERATURE**2) * tf.reduce_mean(soft)
        return (1 - TEACHERS_SHARE) * of_labels(labels, outputs) + TEACHERS_SHARE * of_teacher

    return Task(loss, ACCURACY)


def _softened(probabilities: tf.Tensor) -> tf.Tensor:
    powers = tf.pow(tf.maximum(probabilities, 1e-7), 1 / TEMPERATURE)
    return powers / tf.reduce_sum(powers, axis=-1, keepdims=True)
