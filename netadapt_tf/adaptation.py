"""One adaptation from start to end: a trained network in, a smaller one within budget out."""

import dataclasses
from pathlib import Path
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.networks.channel_groups import Widths, find_channel_groups, widths_of
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

NETWORKS = ("mobilenet_v1",)


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
    tf_keras.utils.set_random_seed(request.seed)
    with HostMeter(request.target) as meter:
        return _adapt(request, command, run, meter)


def _adapt(request: Request, command: str, run: RunDirectory, meter: HostMeter) -> dict[str, Any]:
    clock = Stopwatch()
    data, network = _read(request, run, clock)
    groups = find_channel_groups(network)
    widths = widths_of(groups)
    if not widths:
        locks = "; ".join(f"{group.name}: {group.lock}" for group in groups)
        raise UserError(f"{request.network} has no channel group that can shrink ({locks or 'no layer has filters'})")
    run.claim()
    if not run.has_iteration(0):
        _pretrain(request, network, data, clock)
        run.save_iteration(0, network, widths)
    start_tflite = _start_tflite(network, run, clock)
    deployed = DeployedNetwork(start_tflite, groups)
    latency = Latency(deployed, widths, request.target, meter, request.table)
    resources: dict[str, Resource] = {
        "latency": latency,
        "macs": Counted("MACs", deployed.macs, widths),
        "parameters": Counted("parameters", lambda w: parameter_count(network, groups, w), widths),
        "tflite_bytes": Counted("bytes", lambda w: len(deployed.resized(w)), widths),
    }
    resource = resources[request.budget.resource]
    start = _start(request, network, resource, data, run, clock)
    limit = request.budget.limit(start.cost)
    logging.info(
        "%d channel groups; hold-out accuracy %.4f; %s %.4g %s, budget %.4g.",
        len(widths),
        start.accuracy,
        request.budget.name,
        start.cost,
        resource.unit,
        limit,
    )
    found = Search(request.budget.name, resource, limit, data, run, _settings(request)).run(start)
    clock = Stopwatch()
    adapted = _long_term_fine_tune(request, found, data, run, clock)
    logging.info("Converting and measuring the adapted network.")
    with clock("convert"):
        adapted_tflite = convert(adapted)
        found_tflite = convert(run.load_iteration(found.iteration))
    run.write_bytes("adapted.tflite", adapted_tflite)
    adapted_widths = widths_of(find_channel_groups(adapted))
    with clock("measure"):
        measured = latency.verdict(start_tflite, adapted_tflite)
        predicted_ms = _predicted_ms(request, run, latency, start, measured.start, adapted_widths)
    with clock("evaluate"):
        accuracies = [
            tflite_accuracy(tflite, data.test, request.preprocessing)
            for tflite in (start_tflite, found_tflite, adapted_tflite)
        ]
    run.journal.append("finished", budget=request.budget.text, wall_s=clock.lap("other"))
    summary = summarise(
        request,
        command,
        run.journal,
        start=Delivered(
            network.count_params(), deployed.macs(widths), len(start_tflite), measured.start, accuracies[0]
        ),
        adapted=Delivered(
            adapted.count_params(), deployed.macs(adapted_widths), len(adapted_tflite), measured.value, accuracies[2]
        ),
        accuracy_after_search=accuracies[1],
        predicted_ms=predicted_ms,
        iterations=found.iteration,
        fingerprint=meter.fingerprint(),
    )
    run.write_json("summary.json", summary)
    return summary


def _read(request: Request, run: RunDirectory, clock: Stopwatch) -> tuple[Dataset, tf_keras.Model]:
    """The data set, and the starting network: as it was kept, as it was given, or still to be pre-trained."""
    given = None if request.network in NETWORKS else load_network(Path(request.network))
    resolution = given.input_shape[1] if given is not None else request.resolution
    with clock("read"):
        data = load_dataset(request.dataset, resolution, request.holdout_images, request.train_images, request.seed)
    if run.has_iteration(0):
        return data, run.load_iteration(0)
    network = given or mobilenet_v1(mobilenet_v1_widths(request.alpha), resolution, data.classes)
    if network.input_shape[1:] != (resolution, resolution, 3):
        raise UserError(f"{request.network} takes {network.input_shape}; square images of three channels are needed")
    if network.output_shape != (None, data.classes):
        raise UserError(
            f"{request.network} answers {network.output_shape}; for {request.dataset}, of {data.classes} classes, "
            f"(None, {data.classes}) is needed"
        )
    return data, network


def _pretrain(request: Request, network: tf_keras.Model, data: Dataset, clock: Stopwatch) -> None:
    if not request.pretrain_epochs:
        return
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


def _start_tflite(network: tf_keras.Model, run: RunDirectory, clock: Stopwatch) -> bytes:
    path = run.file("start.tflite")
    if not path.exists():
        logging.info("Converting the starting network.")
        with clock("convert"):
            run.write_bytes("start.tflite", convert(network))
    return path.read_bytes()


def _start(
    request: Request, network: tf_keras.Model, resource: Resource, data: Dataset, run: RunDirectory, clock: Stopwatch
) -> Iterate:
    """Iteration 0: the starting network, measured."""
    record = next(run.journal.events("iteration"), None)
    if record is None:
        widths = widths_of(find_channel_groups(network))
        with clock("measure"):
            resource.prepare([widths])
            predicted, measured = resource.predict(widths), resource.measure(widths)
        with clock("evaluate"):
            holdout_accuracy = accuracy(network, data.holdout, request.preprocessing)
        record = run.journal.append(
            "iteration",
            iteration=0,
            picked=None,
            accuracy=holdout_accuracy,
            predicted={request.budget.name: predicted},
            measured={request.budget.name: measured.start},
            spread={request.budget.name: 0.0},
            wall_s=clock.lap("other"),
        )
    return Iterate(0, network, record["accuracy"], record["measured"][request.budget.name], 0.0)


def _long_term_fine_tune(
    request: Request, found: Iterate, data: Dataset, run: RunDirectory, clock: Stopwatch
) -> tf_keras.Model:
    """The search's network trained on the full training set; the start itself where nothing had to shrink."""
    done = any(record["iteration"] == found.iteration for record in run.journal.events("long_term"))
    if done:
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


def _predicted_ms(
    request: Request, run: RunDirectory, latency: Latency, start: Iterate, start_ms: float, widths: Widths
) -> float:
    """What the search predicted for its last network; by the table alone where the budget is about something else."""
    record = run.journal.last("iteration")
    if request.budget.resource == "latency" and record is not None and record["iteration"]:
        return record["predicted"][request.budget.name] * start_ms / start.cost
    start_widths = widths_of(find_channel_groups(start.network))
    return latency.predict(widths) * start_ms / latency.predict(start_widths)


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
