"""Same request, same result: deterministic operators and a fixed number of threads."""

import tensorflow as tf
import tf_keras

from netadapt_tf.training.replicas import join_cluster
from netadapt_tf.training.strategy_names import MULTI_WORKER, NONE
from tflite_bench.binary import quiet_native_code


def make_repeatable(threads: int, strategy: str = NONE) -> None:
    """Sets TensorFlow up, once, before it is first used; the number of threads changes how sums round.

    Args:
        threads: that one operator takes.
        strategy: see `replicas.strategy_of`; for `multi_worker` it waits for the other machines.

    Raises:
        UserError: they do not come.
    """
    with quiet_native_code():
        gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)  # else the first process that uses it takes all of it
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    tf_keras.backend.experimental.enable_tf_random_generator()  # dropout that can be given a seed again
    if strategy == MULTI_WORKER:
        join_cluster()
    with quiet_native_code():
        tf.config.list_logical_devices()  # starts the runtime
