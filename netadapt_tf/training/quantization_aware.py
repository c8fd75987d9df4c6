"""Training that knows of int8's rounding: TensorFlow Model Optimization's, around the step of all other training."""

import tensorflow as tf
import tf_keras

from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.datasets import Shuffled
from netadapt_tf.training.stages import train
from netadapt_tf.training.task import Task
from tflite_bench.errors import UserError

layers = tf_keras.layers

_FOLDED_INTO = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Dense)
"""What a batch norm may stand behind; Conv2DTranspose is a Conv2D."""

_INSTEAD = "with --quantization_aware_epochs=0 it is quantised after training"


def check_quantizable(network: tf_keras.Model) -> None:
    """Sees that TensorFlow Model Optimization knows every layer; in no time, where wrapping them takes minutes.

    Raises:
        UserError: it does not; the message names the first layer that it does not know.
    """
    from tensorflow_model_optimization.quantization.keras.default_8bit import Default8BitQuantizeScheme

    registry = Default8BitQuantizeScheme().get_quantize_registry()
    for layer in network.layers:
        if not _is_folded(layer) and not registry.supports(layer):
            raise UserError(
                f"quantisation-aware training is not possible: TensorFlow Model Optimization does not know layer "
                f"{layer.name} ({type(layer).__name__}); {_INSTEAD}"
            )


def _is_folded(layer: tf_keras.layers.Layer) -> bool:
    """Whether a layer is made part of others before any is wrapped."""
    if isinstance(layer, layers.BatchNormalization):
        before = layer.inbound_nodes[0].inbound_layers
        return isinstance(before, _FOLDED_INTO) and before.activation is tf_keras.activations.linear
    return isinstance(layer, (layers.InputLayer, layers.SeparableConv2D))


def trained_quantization_aware(
    network: tf_keras.Model,
    task: Task,
    dataset: tf.data.Dataset | Shuffled,
    seed: int,
    epochs: int,
    learning_rate: float,
    checkpoint: Checkpoint | None = None,
) -> tf_keras.Model:
    """A copy that rounds weights and activations as int8 does, trained for whole epochs.

    Args:
        network: trained in float32; it is left as it is.
        task: the loss and the metric.
        dataset: seen once an epoch.
        seed: of shuffling, and of dropout and other random layers.
        epochs: how many.
        learning_rate: at the first step; falls along half a cosine.
        checkpoint: see `stages.train`.

    Returns:
        A network of wrapped layers, which converts to int8 without calibration.

    Raises:
        UserError: the network cannot be wrapped.
    """
    from tensorflow_model_optimization.quantization.keras import quantize_model

    try:
        copy = quantize_model(network)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"quantisation-aware training is not possible: TensorFlow Model Optimization refuses {network.name}: "
            f"{error}; {_INSTEAD}"
        ) from error
    train(copy, task, dataset, seed, epochs, learning_rate, "quantisation-aware training", checkpoint)
    return copy
