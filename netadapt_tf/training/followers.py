"""Long stages of training on several machines.

The chief runs the adaptation. Its followers wait until it begins a long stage, train the same network on their parts of
the same batches, and wait again.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tensorflow as tf
import tf_keras

from netadapt_tf.training.assignments import LostMachineError, dismiss, next_assignment, noticed_losses
from netadapt_tf.training.datasets import Datasets, steps_per_epoch
from netadapt_tf.training.stages import PRE_TRAINING, first_batch, train_epochs
from netadapt_tf.training.task import Task
from tflite_bench.errors import UserError


def follow(
    strategy: tf.distribute.Strategy,
    datasets_of: Callable[[tf_keras.Model], Datasets],
    task_of: Callable[[tf_keras.Model], Task],
) -> int:
    """Trains along until the chief is done.

    Args:
        strategy: of all machines.
        datasets_of: network -> the data as the chief has them; asked once, when the chief begins its first stage.
        task_of: network -> the loss and the metric as the chief has them.

    Returns:
        How many stages were trained.

    Raises:
        UserError: the chief has other data, or a machine goes away.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # TensorFlow waits in C++, and nothing of a follower's can be lost
    stages, datasets = 0, None
    with noticed_losses():
        while assignment := next_assignment(strategy):
            stage, network = assignment.stage, assignment.built()
            datasets = datasets or datasets_of(network)
            dataset = datasets.train if stage["stage"] == PRE_TRAINING else datasets.long_term
            per_epoch = steps_per_epoch(dataset)
            if (per_epoch, first_batch(dataset, stage["seed"])) != (stage["steps_per_epoch"], assignment.first_batch):
                raise UserError(
                    f"the data here are not the chief's ({per_epoch} batches an epoch, the chief has "
                    f"{stage['steps_per_epoch']}); the same command, with the same data, is needed on every machine"
                )
            train_epochs(
                network,
                task_of(network),
                dataset,
                stage,
                assignment.begin,
                strategy=strategy,
                teacher=assignment.teacher,
            )
            stages += 1
    return stages


@contextmanager
def led(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """What the chief does; its followers end with it."""
    try:
        yield
    except LostMachineError:
        raise
    except UserError:
        dismiss(strategy)
        raise
    dismiss(strategy)
