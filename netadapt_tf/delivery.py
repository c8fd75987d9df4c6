"""What an adaptation delivers: the converted network, what it costs as it ships, and the summary of the run."""

from dataclasses import dataclass
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.reporting.keeping import keep_layers
from netadapt_tf.reporting.summary import Delivered, summarise
from netadapt_tf.resources.resource import LatencyResource
from netadapt_tf.search.iterate import Iterate
from netadapt_tf.start import Costs, Start
from netadapt_tf.training.quantization_aware import trained_quantization_aware
from netadapt_tf.training.stages import evaluate_tflite
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
    work.run.reopen()
    work.run.write_bytes("adapted.tflite", tflite)
    widths = found.channels.widths
    with work.clock("measure"):
        measured = {target: latency.verdict(start.tflite, tflite, widths) for target, latency in costs.latency.items()}
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
    run, settings = work.run, work.problem.settings
    logging.info("Converting the adapted network.")
    if not settings.quantization_aware_epochs:
        with work.clock("convert"):
            return work.problem.convert(adapted)
    checkpoint = run.checkpoint("quantization-aware")
    if run.is_done("quantization_aware", found.iteration, "adapted.tflite"):
        checkpoint.discard()
        return run.file("adapted.tflite").read_bytes()
    logging.info("Quantisation-aware training: %d epochs.", settings.quantization_aware_epochs)
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
    run.reopen()
    run.write_bytes("adapted.tflite", tflite)
    digest, lap = run.digest("adapted.tflite"), work.clock.lap("other")
    run.journal.append("quantization_aware", iteration=found.iteration, sha256=digest, wall_s=lap)
    checkpoint.discard()
    return tflite


def summarised(work: Work, command: str, start: Start, costs: Costs, result: Delivery) -> dict[str, Any]:
    """Tests what is delivered on the test set, and writes the summary."""
    run, budgets = work.run, work.problem.budgets
    found_tflite = start.tflite
    if result.found.iteration:
        with work.clock("convert"):
            found_tflite = work.problem.convert(run.load_iteration(result.found.iteration))
    unrounded = _unrounded(work, start, result)
    with work.clock("evaluate"):
        tested = {
            tflite: evaluate_tflite(tflite, work.problem.task.metric, work.problem.datasets.test, start.network.output)
            for tflite in {start.tflite, found_tflite, result.tflite, *unrounded.values()}
        }
    predicted_ms = _predicted_ms(work, start, costs, result)
    asked = ", ".join(budget.text for budget in budgets)
    *_, newest = run.journal.events()
    if (newest["event"], newest.get("budget")) != ("finished", asked):  # else only the summary was lost
        run.journal.append("finished", budget=asked, wall_s=work.clock.lap("other"))
    summary = summarise(
        command=command,
        budgets=budgets,
        settings=work.problem.settings,
        metric=work.problem.task.metric,
        journal=run.journal,
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
    summary["sha256"] = {"adapted.tflite": run.digest("adapted.tflite")}
    keep_layers(run, start, costs, result.found.channels.widths, work.problem.settings.filter_multiple)
    run.write_json("summary.json", summary)
    return summary


def _unrounded(work: Work, start: Start, result: Delivery) -> dict[str, bytes]:
    """Both networks in float32, where that is not how they ship: what rounding costs."""
    if work.problem.settings.precision == "float32":
        return {}
    with work.clock("convert"):
        before = convert(start.network)
        return {"before": before, "after": convert(result.network) if result.found.iteration else before}


def _predicted_ms(work: Work, start: Start, costs: Costs, result: Delivery) -> dict[Target, float]:
    """What the search predicted for its last network; by the table alone where no budget is about latency."""
    first, last = next(work.run.journal.events("iteration")), work.run.journal.last("iteration")
    widths = result.found.channels.widths
    names = {budget.target: budget.name for budget in work.problem.budgets}

    def ratio(target: Target, latency: LatencyResource) -> float:
        if target in names and last is not None and last["iteration"]:
            return last["predicted"][names[target]] / first["measured"][names[target]]
        return latency.predict(widths) / latency.predict(start.widths)

    return {
        target: ratio(target, latency) * result.before.latency_ms[target] for target, latency in costs.latency.items()
    }
