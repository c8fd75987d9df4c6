"""The executor that was asked for."""

from collections.abc import Callable

from netadapt_tf.search.executors.executor import Bench, Executor, Serial
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.executors.processes import Processes
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
    if source is None:
        raise UserError(
            f"the executor {place.executor} sends the data set to other processes, which a tf.data.Dataset cannot be: "
            "give datasets as a function without arguments that returns Datasets"
        )
    bench = Bench(source, task, settings)
    if place.executor == "processes":
        return Processes(bench, place.workers)
    from netadapt_tf.search.executors.ray_cluster import RayCluster  # an extra

    return RayCluster(bench, place)
