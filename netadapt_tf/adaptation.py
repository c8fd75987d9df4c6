"""One adaptation from start to end: a trained network in, a smaller one within budget out."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import ChannelGroup, Widths, find_channel_groups, widths_of
from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths
from netadapt_tf.networks.narrowing import parameter_count
from netadapt_tf.reporting.summary import Delivered, summarise
from netadapt_tf.request import Request
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.resources.resource import Resource
from netadapt_tf.search.netadapt import Iterate, Search, Settings
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.search.schedule import Schedule
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Dataset, load_dataset
from netadapt_tf.training.stages import Recipe, accuracy, tflite_accuracy, train
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.latency_table import prepare_file

NETWORKS = ("mobilenet_v1",)
_A_LITTLE_LESS = 0.999


def adapt(request: Request, command: str) -> dict[str, Any]:
    """Runs an adaptation, goes on with an interrupted one, or repeats a finished one's summary.

    Args:
        request: what is asked for.
        command: how it was asked, for the summary.

    Returns:
        The contents of `summary.json`.

    Raises:
        UserError: what the user can mend.
    """
    run = RunDirectory(request.run_dir, request.influential(), request.budget)
    finished = run.summary(request.budget)
    if finished is not None:
        logging.info("%s is finished.", request.run_dir)
        return finished
    prepare_file(request.table)
    tf_keras.utils.set_random_seed(request.seed)
    clock = Stopwatch()
    data, network = _read(request, run, clock)
    _say_locks(request, find_channel_groups(network))
    run.claim()
    with HostMeter(request.target) as meter:
        start = _start(request, network, data, run, clock)
        resources = _resources(request, start, meter)
        result = _adapt_within_budget(request, start, resources, data, run, clock)
        return _summarised(request, command, start, resources, result, data, run, clock)


@dataclass(frozen=True)
class _Start:
    """The starting network in all its forms."""

    network: tf_keras.Model
    groups: tuple[ChannelGroup, ...]
    tflite: bytes
    deployed: DeployedNetwork

    @property
    def widths(self) -> Widths:
        return widths_of(self.groups)


@dataclass(frozen=True)
class _Resources:
    """What the budget is about, and latency, which every summary shows."""

    budgeted: Resource
    latency: Latency
    fingerprint: Mapping[str, str | int]


@dataclass(frozen=True)
class _Result:
    """What is delivered, and what it and the starting network cost, timed in turn."""

    found: Iterate
    network: tf_keras.Model
    tflite: bytes
    before: Delivered
    after: Delivered


def _read(request: Request, run: RunDirectory, clock: Stopwatch) -> tuple[Dataset, tf_keras.Model]:
    """The data set, and the starting network: as it was kept, as it was given, or still to be pre-trained."""
    network = None
    if run.has_iteration(0):
        network = run.load_iteration(0)
    elif request.network not in NETWORKS:
        network = load_network(Path(request.network))
    resolution = network.input_shape[1] if network is not None else request.resolution
    with clock("read"):
        data = load_dataset(request.dataset, resolution, request.holdout_images, request.train_images, request.seed)
    if network is None:
        network = mobilenet_v1(mobilenet_v1_widths(request.alpha), resolution, data.classes)
    if network.input_shape[1:] != (resolution, resolution, 3):
        raise UserError(f"{request.network} takes {network.input_shape}; square images of three channels are needed")
    if network.output_shape != (None, data.classes):
        raise UserError(
            f"{request.network} answers {network.output_shape}; for {request.dataset}, of {data.classes} classes, "
            f"(None, {data.classes}) is needed"
        )
    return data, network


def _say_locks(request: Request, groups: Sequence[ChannelGroup]) -> None:
    locks = [f"{group.name} keeps its {group.filters} filters: {group.lock}" for group in groups if group.lock]
    if not widths_of(groups):
        raise UserError(f"{request.network} has no channel group that can shrink. {'; '.join(locks) or 'No filters'}.")
    for lock in locks:
        logging.info("%s.", lock)


def _start(request: Request, network: tf_keras.Model, data: Dataset, run: RunDirectory, clock: Stopwatch) -> _Start:
    """Trains the starting network, where asked for, and converts it; what is kept from before is not done again."""
    groups = find_channel_groups(network)
    if not run.has_iteration(0):
        if request.pretrain_epochs:
            logging.info("Pre-training for %d epochs on %d images.", request.pretrain_epochs, len(data.train))
            with clock("pretrain"):
                train(
                    network,
                    data.train,
                    _recipe(request),
                    request.pretrain_epochs,
                    request.long_term_learning_rate,
                    "pre-training",
                )
        run.save_iteration(0, network, widths_of(groups))
    tflite = run.file("start.tflite")
    if not tflite.exists():
        logging.info("Converting the starting network.")
        with clock("convert"):
            run.write_bytes(tflite.name, convert(network))
    content = tflite.read_bytes()
    return _Start(network, groups, content, DeployedNetwork(content, groups))


def _resources(request: Request, start: _Start, meter: HostMeter) -> _Resources:
    latency = Latency(start.deployed, start.widths, request.target, meter, request.table)
    metadata = len(start.tflite) - len(start.deployed.resized(start.widths))  # what the converter adds
    by_name: dict[str, Resource] = {
        "latency": latency,
        "macs": Counted("MACs", start.deployed.macs, start.widths),
        "parameters": Counted("parameters", lambda w: parameter_count(start.network, start.groups, w), start.widths),
        "tflite_bytes": Counted("bytes", lambda w: len(start.deployed.resized(w)) + metadata, start.widths),
    }
    return _Resources(by_name[request.budget.resource], latency, meter.fingerprint())


def _adapt_within_budget(
    request: Request, start: _Start, resources: _Resources, data: Dataset, run: RunDirectory, clock: Stopwatch
) -> _Result:
    """Searches, fine-tunes and converts until the delivered file is within budget, or nothing more can be saved.

    The search measures files made by editing, on the scale of its first measurement; the delivered file,
    measured anew, has the last word. Where it disagrees, the search goes on with a limit as much lower.
    """
    budget, resource = request.budget, resources.budgeted
    beginning = _measured_start(request, start, resource, data, run, clock)
    limit = budget.limit(beginning.cost)
    logging.info(
        "%d channel groups; hold-out accuracy %.4f; %s %.4g %s, budget %.4g.",
        len(start.widths),
        beginning.accuracy,
        budget.name,
        beginning.cost,
        resource.unit,
        limit,
    )
    while True:
        found = Search(budget.name, resource, limit, data, run, _settings(request), clock).run(beginning)
        adapted = _long_term_fine_tune(request, found, data, run, clock)
        logging.info("Converting and measuring the adapted network.")
        with clock("convert"):
            tflite = convert(adapted)
        run.write_bytes("adapted.tflite", tflite)
        with clock("measure"):
            before, after = _delivered_costs(start, resources.latency, adapted, tflite)
        asked, reached = budget.limit(before.amount(budget.resource)), after.amount(budget.resource)
        is_start = budget.relative and not found.iteration  # its ratio to itself is 1, give or take the noise
        if reached <= asked or is_start or found.at_most > limit:
            return _Result(found, adapted, tflite, before, after)
        logging.info("The file costs %.4g %s, more than %.4g; searching on.", reached, resource.unit, asked)
        limit = min(limit * asked / reached, _A_LITTLE_LESS * found.at_most)


def _measured_start(
    request: Request, start: _Start, resource: Resource, data: Dataset, run: RunDirectory, clock: Stopwatch
) -> Iterate:
    """Iteration 0: the starting network, measured."""
    name = request.budget.name
    record = next(run.journal.events("iteration"), None)
    if record is None:
        with clock("measure"):
            resource.prepare([start.widths])
            predicted, measured = resource.predict(start.widths), resource.measure(start.widths)
        with clock("evaluate"):
            holdout_accuracy = accuracy(start.network, data.holdout, request.preprocessing)
        record = run.journal.append(
            "iteration",
            iteration=0,
            picked=None,
            accuracy=holdout_accuracy,
            predicted={name: predicted},
            measured={name: measured.start},
            spread={name: 0.0},
            wall_s=clock.lap("other"),
        )
    return Iterate(0, start.network, record["accuracy"], record["measured"][name], 0.0)


def _long_term_fine_tune(
    request: Request, found: Iterate, data: Dataset, run: RunDirectory, clock: Stopwatch
) -> tf_keras.Model:
    """The search's network trained on the full training set; the start itself where nothing had to shrink."""
    if any(record["iteration"] == found.iteration for record in run.journal.events("long_term")):
        return load_network(run.file("adapted.keras"))
    if found.iteration and request.long_term_epochs:
        logging.info("Long-term fine-tune: %d epochs on %d images.", request.long_term_epochs, len(data.full_train))
        with clock("long_term"):
            train(
                found.network,
                data.full_train,
                dataclasses.replace(_recipe(request), seed=request.seed + 1),
                request.long_term_epochs,
                request.long_term_learning_rate,
                "long-term fine-tune",
            )
    save_network(found.network, run.file("adapted.keras"))
    run.journal.append("long_term", iteration=found.iteration, wall_s=clock.lap("other"))
    return found.network


def _summarised(
    request: Request,
    command: str,
    start: _Start,
    resources: _Resources,
    result: _Result,
    data: Dataset,
    run: RunDirectory,
    clock: Stopwatch,
) -> dict[str, Any]:
    """Tests what is delivered on the test split, and writes the summary."""
    with clock("convert"):
        found_tflite = convert(run.load_iteration(result.found.iteration))
    with clock("evaluate"):
        before, after_search, after = (
            tflite_accuracy(tflite, data.test, request.preprocessing)
            for tflite in (start.tflite, found_tflite, result.tflite)
        )
    predicted_ms = _predicted_ms(request, start, resources.latency, result, run)
    run.journal.append("finished", budget=request.budget.text, wall_s=clock.lap("other"))
    summary = summarise(
        request=request,
        command=command,
        journal=run.journal,
        start=result.before,
        adapted=result.after,
        accuracy={"before": before, "after_search": after_search, "after": after},
        predicted_ms=predicted_ms,
        iterations=result.found.iteration,
        fingerprint=resources.fingerprint,
    )
    run.write_json("summary.json", summary)
    return summary


def _delivered_costs(
    start: _Start, latency: Latency, network: tf_keras.Model, tflite: bytes
) -> tuple[Delivered, Delivered]:
    """What the starting network and another one cost as they ship, timed in turn."""
    measured = latency.verdict(start.tflite, tflite)
    widths = widths_of(find_channel_groups(network))
    return (
        Delivered(start.network.count_params(), start.deployed.macs(start.widths), len(start.tflite), measured.start),
        Delivered(network.count_params(), start.deployed.macs(widths), len(tflite), measured.value),
    )


def _predicted_ms(request: Request, start: _Start, latency: Latency, result: _Result, run: RunDirectory) -> float:
    """What the search predicted for its last network; by the table alone where the budget is about something else."""
    last = run.journal.last("iteration")
    if request.budget.resource == "latency" and last is not None and last["iteration"]:
        first_ms = next(run.journal.events("iteration"))["measured"][request.budget.name]
        return last["predicted"][request.budget.name] * result.before.latency_ms / first_ms
    widths = widths_of(find_channel_groups(result.network))
    return latency.predict(widths) * result.before.latency_ms / latency.predict(start.widths)


def _recipe(request: Request) -> Recipe:
    return Recipe(request.batch_size, request.preprocessing, request.seed)


def _settings(request: Request) -> Settings:
    return Settings(
        schedule=Schedule(request.initial_reduction, request.reduction_decay),
        pick=request.pick,
        filter_multiple=request.filter_multiple,
        short_term_steps=request.short_term_steps,
        short_term_learning_rate=request.short_term_learning_rate,
        recipe=_recipe(request),
    )
