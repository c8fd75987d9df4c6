"""The executor that was asked for, and whether what it needs can be sent to its workers."""

from collections.abc import Callable

import tf_keras

from netadapt_tf.search.executors import processes
from netadapt_tf.search.executors.executor import Bench, Executor, Serial
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.executors.sending import check_parts, parts_of_bench, parts_of_network, pickled_for_processes
from netadapt_tf.settings import Settings
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import Task
from tflite_bench.errors import UserError


def opened(
    place: Place, datasets: Datasets, source: Callable[[], Datasets] | None, task: Task, settings: Settings
) -> Executor:
    """The executor of a search.

    Args:
        place: where it runs.
        datasets: as this process has them.
        source: makes the same data sets anywhere; None where the caller did not say how.
        task: the loss and the metric.
        settings: how to search.

    Raises:
        UserError: the place is not there, or what it needs cannot be sent to it.
    """
    if place.executor == "serial":
        return Serial(Bench(lambda: datasets, task, settings))
    bench = Bench(_given(place, source), task, settings)
    if place.executor == "processes":
        return processes.Processes(bench, place.workers)
    from netadapt_tf.search.executors.ray_cluster import RayCluster  # an extra

    return RayCluster(bench, place)


def check_sendable(place: Place, network: tf_keras.Model, source: Callable[[], Datasets] | None, task: Task) -> None:
    """Sees before any work that a search can be spread as it was asked for.

    Args:
        place: where proposals are fine-tuned.
        network: that the search starts from; those of later iterations are made of the same layers.
        source: makes the data sets anywhere; None where the caller did not say how.
        task: the loss and the metric.

    Raises:
        UserError: the executor's package or cluster is not there, or a part cannot be sent; it is named.
    """
    if place.executor == "serial":
        return
    parts = parts_of_bench(_given(place, source), task) | parts_of_network(network)
    if place.executor == "processes":
        check_parts(parts, pickled_for_processes, processes.WHITHER)
        return
    from netadapt_tf.search.executors import ray_cluster  # an extra

    check_parts(parts, ray_cluster.pickled_for_ray, ray_cluster.WHITHER)
    ray_cluster.check_cluster(place)


def _given(place: Place, source: Callable[[], Datasets] | None) -> Callable[[], Datasets]:
    if source is None:
        raise UserError(
            f"the executor {place.executor} sends the data set to other processes, which a tf.data.Dataset cannot be: "
            "give datasets as a function without arguments that returns Datasets"
        )
    return source
