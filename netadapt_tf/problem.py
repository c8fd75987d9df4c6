"""What is to be adapted, and to what: everything a caller hands over, checked before any work."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tf_keras
from absl import logging
from tf_keras.src.saving.serialization_lib import SafeModeScope

from netadapt_tf.networks.channel_groups import Channels
from netadapt_tf.networks.files import check_no_program
from netadapt_tf.networks.locks import locks_of
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.own_objects import check_copyable, own_objects
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.budget import Budget
from netadapt_tf.resources.own import OwnResource
from netadapt_tf.search.executors.opening import check_sendable
from netadapt_tf.search.executors.place import Place
from netadapt_tf.settings import Settings
from netadapt_tf.start import check_shrinkable, targets_of
from netadapt_tf.training.calibration import calibration_images
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.quantization_aware import check_quantizable
from netadapt_tf.training.replicas import check_averages
from netadapt_tf.training.strategy_names import NONE
from netadapt_tf.training.task import Loss, Metric, Task, classification
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.latency_table import default_table, prepare_file
from tflite_bench.meters import Meters
from tflite_bench.precision import check_runs
from tflite_bench.target import Target
from tflite_bench.timing import Meter


@dataclass(frozen=True)
class Problem:
    """What is to be adapted, and to what.

    Attributes:
        network: a copy of the caller's, which is never touched.
        channels: its channel groups, and where each one's channels lie.
        datasets: what to learn from and to be judged by.
        task: the loss and the metric.
        budgets: what is allowed at the end.
        settings: how to adapt.
        table: file of the latency table; it exists.
        benchmark_models: see `tflite_bench.meters.Meters`.
        table_only: whether latencies are the table's alone, and nothing is measured.
        resources: that the caller brings, by name.
        source: makes the data sets in other processes; None where the caller gave them as they are.
        place: where proposals are fine-tuned.
    """

    network: tf_keras.Model
    channels: Channels
    datasets: Datasets
    task: Task
    budgets: tuple[Budget, ...]
    settings: Settings
    table: Path
    benchmark_models: tuple[str, ...] = ()
    table_only: bool = False
    resources: Mapping[str, OwnResource] = field(default_factory=dict)
    source: Callable[[], Datasets] | None = None
    place: Place = field(default_factory=Place)

    def convert(self, network: tf_keras.Model) -> bytes:
        """A network as it ships.

        Raises:
            UserError: the converter refuses it, or the training images cannot calibrate it.
        """
        precision = self.settings.precision
        images = (
            calibration_images(self.datasets.train, self.settings.calibration_images) if precision == "int8" else None
        )
        return convert(network, precision, images)


def problem_of(
    network: tf_keras.Model,
    datasets: Datasets | Callable[[], Datasets],
    budgets: tuple[Budget, ...],
    loss: Loss | None,
    metric: Metric | None,
    settings: Settings | None,
    table: str | Path | None,
    benchmark_models: Sequence[str],
    table_only: bool,
    resources: Mapping[str, OwnResource],
    place: Place | None = None,
) -> Problem:
    """Checks what a caller hands over; see `netadapt_tf.adapt_network` for each. The network is as `checked` gives it.

    Raises:
        UserError: something that does not fit.
    """
    source = None if isinstance(datasets, Datasets) else datasets
    datasets = datasets if isinstance(datasets, Datasets) else datasets()
    datasets.check(network)
    settings = settings or Settings()
    check_runs(settings.precision, targets_of(budgets))
    channels = find_channels(network)
    channels = find_channels(network, locks_of(channels, settings.lock))
    check_shrinkable(channels, network.name)
    for group in channels.groups:
        if group.lock:
            logging.info("%s keeps its %d filters: %s.", group.name, group.filters, group.lock)
    if len(network.outputs) > 1 and (loss is None or metric is None):
        raise UserError(
            f"{network.name} has {len(network.outputs)} outputs; a loss and a metric of its own are needed, which are "
            "given all of them"
        )
    if settings.quantization_aware_epochs:
        check_quantizable(network)
    if settings.strategy != NONE and loss is not None:
        check_averages(loss)
    default = classification(network)
    task = Task(loss or default.loss, metric or default.metric, None if loss else default.imitation)
    if settings.distillation and not task.imitation:
        logging.info("The loss is your own: the last stage learns from targets alone, without a teacher.")
    place = place or Place()
    check_sendable(place, network, source, task)
    path = Path(table) if table else default_table()
    prepare_file(path)
    return Problem(
        network=narrow(network, channels, {}),
        channels=channels,
        datasets=datasets,
        task=task,
        budgets=budgets,
        settings=settings,
        table=path,
        benchmark_models=tuple(benchmark_models),
        table_only=table_only,
        resources=resources,
        source=source,
        place=place,
    )


@contextmanager
def opened_meters(problem: Problem) -> Iterator[Mapping[Target, Meter | None]]:
    """The meter of every target; None where the table alone is to tell."""
    targets = targets_of(problem.budgets)
    with Meters(problem.benchmark_models) as meters:
        yield {target: None if problem.table_only else meters.of(target) for target in targets}


@contextmanager
def readable(network: tf_keras.Model, allow_lambda: bool) -> Iterator[None]:
    """Inside, copies of the network can be built and read back, its own Python code included where that is allowed.

    Raises:
        UserError: it holds Python code, and that is not allowed; or a layer of which no copy can be built.
    """
    with ExitStack() as stack:
        if allow_lambda:
            stack.enter_context(SafeModeScope(False))
        else:
            check_no_program(network, "the network")
        stack.enter_context(tf_keras.saving.custom_object_scope(own_objects(network.layers)))
        check_copyable(network.layers)
        yield
