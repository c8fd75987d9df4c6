"""What is delivered of an iteration: its network fine-tuned, converted, measured as it ships, tested and summarised."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.networks.files import save_network
from netadapt_tf.networks.narrowing import fresh_copy
from netadapt_tf.reporting.summary import Delivered, summarise
from netadapt_tf.resources.budget import Budget
from netadapt_tf.resources.resource import LatencyResource, Measurement
from netadapt_tf.resources.surprise import settled
from netadapt_tf.search.iterate import Iterate
from netadapt_tf.start import Costs, Start
from netadapt_tf.training.quantization_aware import trained_quantization_aware
from netadapt_tf.training.stages import evaluate_tflite, train
from netadapt_tf.training.teacher import Teacher
from netadapt_tf.wording import counted
from netadapt_tf.work import Work
from tflite_bench.convert import convert
from tflite_bench.target import Target


@dataclass(frozen=True)
class Delivery:
    """What is delivered, and what it and the starting network cost as they ship, timed in turn.

    Attributes:
        found: what the search ended with.
        network: that network after the last stage.
        tflite: its file.
        before: what the starting network costs.
        after: what the delivered file costs.
    """

    found: Iterate
    network: tf_keras.Model
    tflite: bytes
    before: Delivered
    after: Delivered


def last_stage(work: Work, start: Start, found: Iterate) -> tf_keras.Model:
    """The search's network fine-tuned, or its shape retrained; the start itself where nothing had to shrink.

    Args:
        work: what all stages share.
        start: the starting network, which teaches.
        found: what the search ended with.
    """
    into, settings = work.into, work.problem.settings
    checkpoint = into.checkpoint("long-term")
    if into.is_done("long_term", found.iteration, "adapted.keras"):
        checkpoint.discard()
        return into.load_network("adapted.keras")
    network = found.network
    if found.iteration and settings.final_epochs:
        what = "long-term fine-tune"
        if settings.final == "retrain":
            what, network = "retraining", fresh_copy(network, settings.seed)
        logging.info("%s: %s.", what.capitalize(), counted(settings.final_epochs, "epoch"))
        with work.clock("long_term"):
            train(
                network,
                work.problem.task,
                work.problem.datasets.long_term,
                settings.seed + 1,
                settings.final_epochs,
                settings.long_term_learning_rate,
                what,
                checkpoint,
                work.strategy,
                _teacher(work, start),
            )
    into.reopen()
    save_network(network, into.file("adapted.keras"))
    digest, lap = into.digest("adapted.keras"), work.clock.lap("other")
    into.journal.append("long_term", iteration=found.iteration, sha256=digest, wall_s=lap)
    checkpoint.discard()
    return network


def _teacher(work: Work, start: Start) -> Teacher | None:
    share = work.problem.settings.distillation
    return Teacher(start.network, share) if share and work.problem.task.imitation else None


def delivery(work: Work, start: Start, costs: Costs, found: Iterate, adapted: tf_keras.Model) -> Delivery:
    """Converts the adapted network, keeps its file, and measures that.

    Args:
        work: what all stages share.
        start: the starting network.
        costs: how latency is measured.
        found: what the search ended with.
        adapted: that network after the last stage.
    """
    tflite = start.tflite
    if found.iteration:
        tflite = _converted(work, found, adapted)
        logging.info("Measuring the adapted network.")
    work.into.reopen()
    work.into.write_bytes("adapted.tflite", tflite)
    widths = found.channels.widths
    searched = {
        budget.target: found.costs[budget.name]
        for budget in work.problem.budgets
        if budget.target and budget.name in found.costs
    }

    def verdict_on(target: Target, latency: LatencyResource) -> Measurement:
        verdict = partial(latency.verdict, start.tflite, tflite, widths)
        cost = searched.get(target)
        believed, usual = (cost.value / cost.start, cost.start) if cost else (None, None)
        return settled(verdict, believed, usual, f"latency@{target}")

    with work.clock("measure"):
        measured = {target: verdict_on(target, latency) for target, latency in costs.latency.items()}
        own = {name: resource.verdict(start.tflite, tflite, widths) for name, resource in costs.own.items()}
    before = Delivered(
        start.network.count_params(),
        start.deployed.macs(start.widths),
        len(start.tflite),
        {target: verdict.start for target, verdict in measured.items()},
        {name: verdict.start for name, verdict in own.items()},
    )
    if not found.iteration:
        return Delivery(found, adapted, tflite, before, before)
    after = Delivered(
        adapted.count_params(),
        start.deployed.macs(widths),
        len(tflite),
        {target: verdict.value for target, verdict in measured.items()},
        {name: verdict.value for name, verdict in own.items()},
    )
    return Delivery(found, adapted, tflite, before, after)


def _converted(work: Work, found: Iterate, adapted: tf_keras.Model) -> bytes:
    """The adapted network as it ships; quantisation-aware training, where that is asked for, is not done twice."""
    into, settings = work.into, work.problem.settings
    logging.info("Converting the adapted network.")
    if not settings.quantization_aware_epochs:
        with work.clock("convert"):
            return work.problem.convert(adapted)
    checkpoint = into.checkpoint("quantization-aware")
    if into.is_done("quantization_aware", found.iteration, "adapted.tflite"):
        checkpoint.discard()
        return into.file("adapted.tflite").read_bytes()
    logging.info("Quantisation-aware training: %s.", counted(settings.quantization_aware_epochs, "epoch"))
    with work.clock("quantization_aware"):
        rounding = trained_quantization_aware(
            adapted,
            work.problem.task,
            work.problem.datasets.long_term,
            settings.seed + 2,
            settings.quantization_aware_epochs,
            settings.short_term_learning_rate,
            checkpoint,
        )
    with work.clock("convert"):
        tflite = convert(rounding, "int8")
    into.reopen()
    into.write_bytes("adapted.tflite", tflite)
    digest, lap = into.digest("adapted.tflite"), work.clock.lap("other")
    into.journal.append("quantization_aware", iteration=found.iteration, sha256=digest, wall_s=lap)
    checkpoint.discard()
    return tflite


def summarised(
    work: Work, command: str, budgets: Sequence[Budget], start: Start, costs: Costs, result: Delivery
) -> dict[str, Any]:
    """Tests what is delivered on the test set, and writes the summary.

    Args:
        work: what all stages share.
        command: how it was asked for.
        budgets: that the delivered network is judged by.
        start: the starting network.
        costs: how latency is measured.
        result: what is delivered.
    """
    into = work.into
    found_tflite = start.tflite
    if result.found.iteration:
        with work.clock("convert"):
            found_tflite = work.problem.convert(work.run.load_iteration(result.found.iteration))
    unrounded = _unrounded(work, start, result)
    tested = {
        tflite: _tested(work, start, tflite)
        for tflite in {start.tflite, found_tflite, result.tflite, *unrounded.values()}
    }
    predicted_ms = _predicted_ms(work, start, costs, result)
    asked = ", ".join(budget.text for budget in budgets)
    *_, newest = (record for record in into.journal.events() if record["event"] != "cost")  # that is the family's
    if (newest["event"], newest.get("budget")) != ("finished", asked):  # else only the summary was lost
        into.journal.append("finished", budget=asked, wall_s=work.clock.lap("other"))
    summary = summarise(
        command=command,
        budgets=budgets,
        settings=work.problem.settings,
        metric=work.problem.task.metric,
        journal=into.journal,
        start=result.before,
        adapted=result.after,
        accuracy={
            "before": tested[start.tflite],
            "after_search": tested[found_tflite],
            "after": tested[result.tflite],
        },
        float32_accuracy={when: tested[tflite] for when, tflite in unrounded.items()},
        predicted_ms=predicted_ms,
        iterations=result.found.iteration,
        fingerprints={target: latency.fingerprint for target, latency in costs.latency.items()},
        table_only=work.problem.table_only,
    )
    summary["sha256"] = {"adapted.tflite": into.digest("adapted.tflite")}
    into.write_json("summary.json", summary)
    return summary


def _tested(work: Work, start: Start, tflite: bytes) -> float:
    """The metric of a `.tflite` on the test set; no file is tested twice."""
    if tflite not in work.tested:
        task, datasets = work.problem.task, work.problem.datasets
        with work.clock("evaluate"):
            work.tested[tflite] = evaluate_tflite(tflite, task.metric, datasets.test, start.network.output)
    return work.tested[tflite]


def _unrounded(work: Work, start: Start, result: Delivery) -> dict[str, bytes]:
    """Both networks in float32, where that is not how they ship: what rounding costs."""
    if work.problem.settings.precision == "float32":
        return {}
    with work.clock("convert"):
        before = convert(start.network)
        return {"before": before, "after": convert(result.network) if result.found.iteration else before}


def _predicted_ms(work: Work, start: Start, costs: Costs, result: Delivery) -> dict[Target, float]:
    """What the search predicted for its network; by the table alone where no budget of it is about that latency."""
    first, *later = work.run.journal.events("iteration")
    record = next((record for record in later if record["iteration"] == result.found.iteration), first)
    widths = result.found.channels.widths
    names = {budget.target: budget.name for budget in work.problem.budgets}

    def ratio(target: Target, latency: LatencyResource) -> float:
        if record is not first and names.get(target) in record["predicted"]:
            return record["predicted"][names[target]] / first["measured"][names[target]]
        return latency.predict(widths) / latency.predict(start.widths)

    return {
        target: ratio(target, latency) * result.before.latency_ms[target] for target, latency in costs.latency.items()
    }
