"""Training on two logical devices of this machine: `python -m tests.two_replicas FOLDER`.

Leaves the weights of each training in the folder, under its name. A process of its own, since devices are cut in two
before TensorFlow starts.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras

from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.repeatable import make_repeatable
from netadapt_tf.training.replicas import replica_count, strategy_of
from netadapt_tf.training.stages import train
from netadapt_tf.training.strategy_names import MIRRORED, NONE
from netadapt_tf.training.task import Loss, Task, classification
from netadapt_tf.training.teacher import Teacher
from tests.tiny_networks import randomised, tiny_cnn

EPOCHS = 3


def regularised() -> tf_keras.Model:
    """Without batch norm, whose statistics depend on how a batch is split; with a loss of its weights."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    penalty = tf_keras.regularizers.L2(0.01)
    x = layers.Conv2D(8, 3, activation="relu", kernel_regularizer=penalty)(images)
    x = layers.GlobalAveragePooling2D()(x)
    return randomised(tf_keras.Model(images, layers.Dense(4, activation="softmax")(x)))


def shuffled(seed: int) -> tf.data.Dataset:
    """Batches of 15, 15 and 1: parts of 7 and 8, and one that is left with nothing."""
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (31, 8, 8, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((images, np.arange(31) % 4)).shuffle(31, seed).batch(15)


def precisely(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """A loss in float64."""
    return tf.cast(tf_keras.losses.sparse_categorical_crossentropy(targets, outputs), tf.float64)


def trained(
    network: tf_keras.Model,
    strategy: str = MIRRORED,
    checkpoint: Checkpoint | None = None,
    loss: Loss | None = None,
    teacher: Teacher | None = None,
) -> list[np.ndarray]:
    """Its weights in the end."""
    usual = classification(network)
    task = Task(loss or usual.loss, usual.metric, usual.imitation)
    train(network, task, shuffled, 3, EPOCHS, 0.05, "long-term fine-tune", checkpoint, strategy_of(strategy), teacher)
    return network.get_weights()


def contrary_teacher() -> Teacher:
    """One that knows nothing of the labels."""
    network = regularised()
    network.set_weights([-weight for weight in network.get_weights()])
    return Teacher(network, 0.75)


def interrupted(network: tf_keras.Model, file: Path) -> list[np.ndarray]:
    """The same after an interruption, once the first epoch is kept."""

    def write(content: bytes) -> None:
        first = not file.exists()
        file.write_bytes(content)
        if first:
            raise KeyboardInterrupt

    checkpoint = Checkpoint(file, write)
    try:
        trained(network, checkpoint=checkpoint)
    except KeyboardInterrupt:
        return trained(network, checkpoint=checkpoint)
    raise AssertionError("nothing was kept")


def keep(folder: Path, results: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Writes weights, each under its name."""
    for name, weights in results.items():
        np.savez(folder / f"{name}.npz", *weights)


def kept(folder: Path, name: str) -> list[np.ndarray]:
    """What `keep` has written."""
    with np.load(folder / f"{name}.npz") as file:
        return [file[key] for key in file.files]


def main(folder: Path) -> None:
    """Trains, and keeps what comes of it."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    make_repeatable(1)
    assert replica_count(MIRRORED) == 2
    results = {
        "start": regularised().get_weights(),
        "one": trained(regularised(), NONE),
        "two": trained(regularised()),
        "taught_one": trained(regularised(), NONE, teacher=contrary_teacher()),
        "taught_two": trained(regularised(), teacher=contrary_teacher()),
        "precise": trained(regularised(), loss=precisely),
        "random": trained(tiny_cnn(dropout=0.5)),
        "random_resumed": interrupted(tiny_cnn(dropout=0.5), folder / "checkpoint.npz"),
        "random_one": trained(tiny_cnn(dropout=0.5), NONE),
    }
    keep(folder, results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
