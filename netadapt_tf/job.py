"""The jobs as the command line asks for them: network and data by name, then what Python would call."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import tf_keras
from absl import logging
from tf_keras.src.saving.serialization_lib import SafeModeScope

from netadapt_tf.adaptation import adapt_network, finished_adaptation
from netadapt_tf.family import finetune_iterations
from netadapt_tf.forecast import Forecast, dry_run
from netadapt_tf.identity import run_identity
from netadapt_tf.networks.by_name import NAMES, NETWORKS
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.trained_weights import take_over, trained_network
from netadapt_tf.outcome import AdaptedNetwork
from netadapt_tf.request import Request
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.training.cluster import cluster
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.followers import follow, led
from netadapt_tf.training.image_dataset import Source, find_images, load_images
from netadapt_tf.training.replicas import strategy_of
from netadapt_tf.training.strategy_names import MULTI_WORKER
from netadapt_tf.training.task import ACCURACY, classification
from tflite_bench.errors import UserError

T = TypeVar("T")

_FEW_STEPS = 8
"""In an epoch; with fewer, a training of so many epochs hardly moves."""


def adapt(request: Request, command: str) -> AdaptedNetwork | None:
    """Runs the adaptation that the flags ask for, goes on with it, or repeats a finished one's result.

    Returns:
        The adapted network; None where another machine adapts, and this one has followed it.

    Raises:
        UserError: what the user can mend.
    """
    return _led(request, lambda: _adapted(request, command))


def finetune(
    request: Request,
    iterations: Sequence[int],
    budgets: Sequence[str],
    pareto: int,
    epochs: int | None,
    learning_rate: float | None,
    command: str,
) -> tuple[AdaptedNetwork, ...] | None:
    """Delivers networks of a run that the command has made; see `family.finetune_iterations`.

    Args:
        request: of the run, read back.
        iterations: which networks: their numbers.
        budgets: or what one of them should be within.
        pareto: or how many along the curve.
        epochs: of the long-term fine-tune; by default the run's.
        learning_rate: the same.
        command: how this was asked for.

    Returns:
        The networks; None where another machine works, and this one has followed it.

    Raises:
        UserError: what the user can mend.
    """

    def datasets() -> Datasets:
        network = load_network(request.run_dir / "iterations/000/network.keras", allow_lambda=request.allow_lambda)
        return _datasets(request, find_images(request.dataset), network)()

    return _led(
        request,
        lambda: finetune_iterations(
            request.run_dir,
            datasets,
            iterations=iterations,
            budgets=budgets,
            pareto=pareto,
            epochs=epochs,
            learning_rate=learning_rate,
            table=request.table,
            benchmark_models=request.benchmark_models,
            allow_lambda=request.allow_lambda,
            command=command,
        ),
    )


def _led(request: Request, work: Callable[[], T]) -> T | None:
    """Does the work, on several machines as their chief; or follows the chief, and returns None."""
    if request.settings.strategy != MULTI_WORKER:
        return work()
    strategy, machines = strategy_of(MULTI_WORKER), cluster()
    if machines.is_chief:
        with led(strategy):
            return work()
    source = find_images(request.dataset)
    tf_keras.utils.set_random_seed(request.settings.seed)  # as the chief does
    with SafeModeScope(not request.allow_lambda):
        stages = follow(strategy, lambda network: _datasets(request, source, network)(), classification)
    logging.info("Trained %d stages along with the chief, %s.", stages, machines.chief)
    return None


def _adapted(request: Request, command: str) -> AdaptedNetwork:
    run = _run_directory(request)
    finished = finished_adaptation(run, request.budgets, request.tensorboard)
    if finished is not None:
        return finished
    network, datasets = _read(request, run)
    return adapt_network(
        network,
        datasets,
        [budget.text for budget in request.budgets],
        request.run_dir,
        settings=request.settings,
        table=request.table,
        benchmark_models=request.benchmark_models,
        table_only=request.table_only,
        identity=request.identity(),
        allow_lambda=request.allow_lambda,
        place=request.place,
        command=command,
        tensorboard=request.tensorboard,
    )


def forecast(request: Request) -> Forecast:
    """Says what an adaptation would do, without training or writing anything but measured table entries.

    Raises:
        UserError: what the user can mend.
    """
    network, datasets = _read(request, _run_directory(request))
    return dry_run(
        network,
        datasets,
        [budget.text for budget in request.budgets],
        settings=request.settings,
        table=request.table,
        benchmark_models=request.benchmark_models,
        table_only=request.table_only,
        allow_lambda=request.allow_lambda,
    )


def _run_directory(request: Request) -> RunDirectory:
    return RunDirectory(
        request.run_dir,
        run_identity(None, request.identity(), request.settings, None, ACCURACY, request.table_only),
        request.budgets,
        allow_lambda=request.allow_lambda,
    )


def _read(request: Request, run: RunDirectory) -> tuple[tf_keras.Model, Callable[[], Datasets]]:
    """The starting network as it was kept, as it was given, or still to be pre-trained; and the data."""
    network = _kept_or_given(request, run)
    if network is not None:
        _check_input(request, network)
    source = find_images(request.dataset)
    if network is None:
        network = _built(request, source.classes)
    _check_output(request, network, source.classes)
    return network, _datasets(request, source, network)


def _datasets(request: Request, source: Source, network: tf_keras.Model) -> Callable[[], Datasets]:
    images = load_images(
        source,
        network.input_shape[1],
        request.holdout_images,
        request.train_images,
        request.settings.seed,
        request.augmentation,
    )
    steps = max(1, len(images.train) // request.batch_size)
    if steps < _FEW_STEPS:
        logging.warning(
            "%d training images make epochs of %s of %d images; a smaller --batch_size learns more from so few.",
            len(images.train),
            "one step" if steps == 1 else f"{steps} steps",
            min(request.batch_size, len(images.train)),
        )
    return partial(images.datasets, request.batch_size, request.preprocessing)


def _kept_or_given(request: Request, run: RunDirectory) -> tf_keras.Model | None:
    for flag in ("alpha", "resolution", "weights"):
        if request.is_from_file and getattr(request, flag) is not None:
            raise UserError(f"--{flag} is for {NAMES}; a network from a file has its own")
    if run.has_iteration(0):
        return run.load_iteration(0)
    if not request.is_from_file:
        return None
    path = Path(request.network)
    if not path.suffix and not path.exists():
        raise UserError(
            f"unknown network {request.network!r}; it should be {NAMES}, or the path of a trained network (.keras or "
            ".h5)"
        )
    return load_network(path, allow_lambda=request.allow_lambda, trust_saved_model=request.trust_saved_model)


def _built(request: Request, classes: int) -> tf_keras.Model:
    """The network by name, with fresh weights where no trained ones are given."""
    named = NETWORKS[request.network]
    alpha, resolution = request.alpha_or_default, request.resolution_or_default
    trained = None if request.weights is None else trained_network(named, alpha, resolution, request.weights)
    tf_keras.utils.set_random_seed(request.settings.seed)
    network = named.build(named.widths(alpha), resolution, classes)
    if trained is None:
        return network
    if network.output_shape != trained.output_shape and not request.settings.pretrain_epochs:
        raise UserError(
            f"--weights={request.weights} are of {trained.output_shape[-1]} classes and {request.dataset} has "
            f"{classes}, so that the classifier starts afresh: let it learn, with --pretrain_epochs above 0"
        )
    take_over(network, trained, named)
    return network


def _check_input(request: Request, network: tf_keras.Model) -> None:
    height, width, channels = network.input_shape[1:]
    if height != width or channels != 3:
        raise UserError(
            f"{request.network} takes images of shape {height} x {width} x {channels}; square ones of three channels "
            "are needed"
        )


def _check_output(request: Request, network: tf_keras.Model, classes: int) -> None:
    if network.output_shape != (None, classes):
        raise UserError(
            f"{request.network} answers {network.output_shape}; for {request.dataset}, of {classes} classes, "
            f"(None, {classes}) is needed: give a network that was trained for these classes"
        )
