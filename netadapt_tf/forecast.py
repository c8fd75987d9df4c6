"""What an adaptation would do, before anything is trained."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tf_keras

from netadapt_tf.layer_latencies import LayerLatency, layer_latencies
from netadapt_tf.networks.channel_groups import ChannelGroup
from netadapt_tf.networks.files import checked
from netadapt_tf.networks.narrowing import fresh_copy
from netadapt_tf.problem import Problem, opened_meters, problem_of, readable
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.resources.own import OwnResource, check_own
from netadapt_tf.resources.resource import LatencyResource, Measurement
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.proposals import propose
from netadapt_tf.search.schedule import Schedule
from netadapt_tf.settings import Settings
from netadapt_tf.start import Costs, Reach, Start, costs_of, measured_reaches, start_of
from netadapt_tf.training.datasets import Datasets, batch_spec, endless, steps_per_epoch
from netadapt_tf.training.task import Loss, Metric
from netadapt_tf.training.trainer import Trainer, constant
from tflite_bench.adapter import remarks
from tflite_bench.target import Target

_TIMED_STEPS = 5


@dataclass(frozen=True)
class TargetForecast:
    """The starting network on one target.

    Attributes:
        target: where latency is measured.
        layers: in order of execution.
        call_ms: what one run costs besides.
        whole_ms: latency of the network, measured whole; by the table where nothing is measured.
        remarks: sentences on the device that readers must know.
    """

    target: Target
    layers: Sequence[LayerLatency]
    call_ms: float
    whole_ms: float
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Effort:
    """About how much work the search would be.

    Attributes:
        iterations: of the search, for the budget that needs most; None where the schedule's steps never add up to it.
        proposals_each: proposals of the first iteration.
        pretrain_s: seconds of pre-training.
        search_s: seconds of all iterations.
        final_s: seconds of the last stage.
    """

    iterations: int | None
    proposals_each: int
    pretrain_s: float
    search_s: float
    final_s: float


@dataclass(frozen=True)
class Forecast:
    """What an adaptation would do.

    Attributes:
        groups: channel groups, locked ones included.
        targets: the starting network on every target.
        reaches: the budgets.
        effort: about how much work.
        table_only: whether latencies are the table's alone, so that nothing was measured.
    """

    groups: Sequence[ChannelGroup]
    targets: Sequence[TargetForecast]
    reaches: Sequence[Reach]
    effort: Effort
    table_only: bool = False


def dry_run(
    network: tf_keras.Model,
    datasets: Datasets | Callable[[], Datasets],
    budgets: Sequence[str],
    *,
    loss: Loss | None = None,
    metric: Metric | None = None,
    settings: Settings | None = None,
    table: str | Path | None = None,
    benchmark_models: Sequence[str] = (),
    table_only: bool = False,
    resources: Mapping[str, OwnResource] | None = None,
    allow_lambda: bool = False,
) -> Forecast:
    """Foretells an adaptation; trains nothing, and keeps nothing but the table's new entries.

    Args:
        network: see `adapt_network`, as for all the others.
        datasets: a few batches are read, to see how fast a step is.
        budgets: what would be allowed.
        loss: what training would lessen.
        metric: what proposals would be ranked by.
        settings: how the network would be adapted.
        table: file of the latency table.
        benchmark_models: binaries, each `[ABI:]PATH`.
        table_only: take latencies from the table alone.
        resources: what else budgets may be about.
        allow_lambda: the network holds Python code of its own.

    Raises:
        UserError: what the caller can mend; a budget out of reach is an answer here.
    """
    network = checked(network, "the network")
    resources = resources or {}
    check_own(resources)
    with readable(network, allow_lambda):
        parsed = parse_budgets(budgets, {name: resource.units for name, resource in resources.items()})
        problem = problem_of(
            network, datasets, parsed, loss, metric, settings, table, benchmark_models, table_only, resources
        )
        return _forecast(problem)


def _forecast(problem: Problem) -> Forecast:
    budgets, settings = problem.budgets, problem.settings
    with opened_meters(problem) as meters:
        start = start_of(problem.network, problem.channels, problem.convert(problem.network), settings.filters)
        costs = costs_of(start, budgets, meters, problem.table, problem.resources)
        begin = time.monotonic()
        reaches = measured_reaches(costs, budgets, start.narrowest(settings.filter_multiple))
        measure_s = time.monotonic() - begin
        slowest, iterations = _slowest(reaches, settings.schedule)
        proposals = _first_proposals(start, costs, slowest, settings)
        measured_ms = {reach.budget.target: reach.now for reach in reaches}
        targets = tuple(
            TargetForecast(
                target,
                _layers(start, latency),
                latency.call_ms(),
                measured_ms[target] if target in measured_ms else latency.measure(start.widths).start,
                remarks(target, latency.fingerprint),
            )
            for target, latency in costs.latency.items()
        )
    effort = _effort(problem, iterations, proposals, measure_s)
    return Forecast(start.channels.groups, targets, reaches, effort, problem.table_only)


def _slowest(reaches: Sequence[Reach], schedule: Schedule) -> tuple[Reach, int | None]:
    """The budget that needs most iterations, and how many; None, where they never end, is most."""
    needed = [(reach, schedule.iterations_left(0, reach.now, reach.now, reach.allowed)) for reach in reaches]
    return max(needed, key=lambda pair: math.inf if pair[1] is None else pair[1])


def _first_proposals(start: Start, costs: Costs, reach: Reach, settings: Settings) -> int:
    name = reach.budget.name
    goal = Goal(name, costs.budgeted[name], reach.allowed)
    proposed = propose(
        start.widths,
        start.widths,
        [goal],
        goal,
        {name: Measurement(reach.now, reach.now)},
        settings.schedule.constraint(1, reach.now, reach.now, reach.allowed),
        settings.filter_multiple,
    )
    return len(proposed.proposals)


def _layers(start: Start, latency: LatencyResource) -> list[LayerLatency]:
    latency.prepare([start.widths])
    return layer_latencies(start, latency, start.widths)


def _effort(problem: Problem, iterations: int | None, proposals: int, measure_s: float) -> Effort:
    """Times a few steps on a copy of the network, and multiplies."""
    datasets, settings = problem.datasets, problem.settings
    trainer = Trainer(fresh_copy(problem.network, settings.seed), problem.task, batch_spec(datasets.holdout))
    stream = iter(endless(datasets.train, settings.seed))
    build_s, *steps_s = (
        _seconds(lambda: trainer.fit([next(stream)], 1, constant(0.0))) for _ in range(1 + _TIMED_STEPS)
    )
    step_s = float(np.median(steps_s))
    trainer.evaluate(datasets.holdout.take(1))
    evaluate_s = _seconds(lambda: trainer.evaluate(datasets.holdout))
    is_taught = settings.distillation and problem.task.imitation
    answer_s = evaluate_s / steps_per_epoch(datasets.holdout, "holdout") if is_taught else 0.0
    final_steps = settings.final_epochs * steps_per_epoch(datasets.long_term) if iterations else 0
    proposal_s = settings.short_term_steps * step_s + evaluate_s
    iteration_s = build_s + measure_s + proposals * proposal_s
    if settings.mid_term_epochs:
        iteration_s += build_s + settings.mid_term_epochs * steps_per_epoch(datasets.train) * step_s + evaluate_s
    return Effort(
        iterations=iterations,
        proposals_each=proposals,
        pretrain_s=settings.pretrain_epochs * steps_per_epoch(datasets.train) * step_s,
        search_s=(iterations or 0) * iteration_s,
        final_s=final_steps * (step_s + answer_s),
    )


def _seconds(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin
