"""Training set up for small classifiers, as the tests need it."""

import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import Channels
from netadapt_tf.training.task import classification
from netadapt_tf.training.trainer import Trainer


def classifier_trainer(
    network: tf_keras.Model, channels: Channels | None = None, stage_steps: int | None = None
) -> Trainer:
    """Images float32 [B, H, W, C] and labels int64 [B]."""
    spec = (tf.TensorSpec([None, *network.input_shape[1:]], tf.float32), tf.TensorSpec([None], tf.int64))
    return Trainer(network, classification(network), spec, channels, stage_steps)
