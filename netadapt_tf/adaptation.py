"""One adaptation from start to end: a trained network in, a smaller one within budget out."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.beginning import as_given, measured_start, trained
from netadapt_tf.delivery import Delivery, delivery, last_stage, summarised
from netadapt_tf.devices import check_devices, keep_devices
from netadapt_tf.estimates import check_estimates
from netadapt_tf.figures import amount, number, score
from netadapt_tf.identity import run_identity
from netadapt_tf.mid_term import checkpoint_of, mid_term
from netadapt_tf.networks.files import checked
from netadapt_tf.outcome import AdaptedNetwork, adapted_network
from netadapt_tf.problem import Problem, opened_meters, problem_of, readable
from netadapt_tf.reporting import scalars
from netadapt_tf.reporting.keeping import keep_layers, keep_report
from netadapt_tf.resources.budget import Budget, parse_budgets
from netadapt_tf.resources.own import OwnResource, check_own
from netadapt_tf.search.executors.opening import opened
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.file_names import REPORT
from netadapt_tf.search.goals import Goal, corrected_by_delivery
from netadapt_tf.search.iterate import Iterate
from netadapt_tf.search.netadapt import Search
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.settings import Settings
from netadapt_tf.start import Costs, Start, check_reachable, costs_of, measured_reaches
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.replicas import strategy_of
from netadapt_tf.training.task import ACCURACY, Loss, Metric
from netadapt_tf.work import Work


def adapt_network(
    network: tf_keras.Model,
    datasets: Datasets | Callable[[], Datasets],
    budgets: Sequence[str],
    run_dir: str | Path,
    *,
    loss: Loss | None = None,
    metric: Metric | None = None,
    settings: Settings | None = None,
    table: str | Path | None = None,
    benchmark_models: Sequence[str] = (),
    table_only: bool = False,
    resources: Mapping[str, OwnResource] | None = None,
    identity: Mapping[str, Any] | None = None,
    allow_lambda: bool = False,
    place: Place | None = None,
    command: str = "",
    tensorboard: bool = False,
) -> AdaptedNetwork:
    """Shrinks a network until it is within every budget by measurement; goes on with what an interrupted call finished.

    Args:
        network: a `tf_keras` functional model of one input, float32 [N, H, W, C] of fixed H, W and C, and one output
            [N, ...] or several. It is left as it is; `settings.pretrain_epochs` trains a copy.
        datasets: what to learn from and to be judged by; or a function that returns that, which executors other than
            `serial` send to their workers.
        budgets: what is allowed at the end, `RESOURCE[@TARGET]=AMOUNT`; one or several.
        run_dir: where everything of this adaptation is kept.
        loss: (targets [B, ...], outputs [B, ...]) -> a number; by default cross-entropy of class numbers [B]. Several
            outputs come as the network gives them, a list or a dictionary.
        metric: what proposals are ranked by; by default accuracy. A network of several outputs needs a metric and a
            loss of its own.
        settings: how to adapt; `Settings()` by default.
        table: file of the latency table; by default one in the user's cache folder.
        benchmark_models: binaries of TensorFlow Lite's or LiteRT's benchmark_model, each `[ABI:]PATH`, for targets
            `android` and `benchmark_model`.
        table_only: take latencies from the table alone, which must hold all that is asked for; nothing is measured, so
            that nothing is proven.
        resources: what else budgets may be about, by name; see `netadapt_tf.OwnResource`.
        identity: JSON values that say what is being adapted, data included; a run directory goes on only for the same
            ones. By default a digest of the network.
        allow_lambda: the network holds Python code of its own (Lambda or custom layers), which reading it back runs.
        place: where proposals are fine-tuned; it does not change the result. By default in this process, one after the
            other.
        command: how this was asked for, for the summary.
        tensorboard: write scalars of every iteration into the folder `tensorboard` of the run directory.

    Returns:
        The adapted network, its files and its figures. A finished run's are read from its directory.

    Raises:
        UserError: what the caller can mend: a network that cannot be followed, data that do not fit it, a budget out of
            reach, a directory of another run.
    """
    resources = resources or {}
    check_own(resources)
    parsed = parse_budgets(budgets, {name: resource.units for name, resource in resources.items()})
    network = checked(network, "the network")
    with readable(network, allow_lambda):
        run = RunDirectory(
            Path(run_dir),
            run_identity(network, identity, settings or Settings(), loss, metric or ACCURACY, table_only),
            parsed,
            allow_lambda=allow_lambda,
        )
        finished = finished_adaptation(run, parsed, tensorboard)
        if finished is not None:
            return finished
        if run.has_iteration(0):
            network = run.load_iteration(0)
        problem = problem_of(
            network, datasets, parsed, loss, metric, settings, table, benchmark_models, table_only, resources, place
        )
        return _adapt(problem, run, command, tensorboard)


def finished_adaptation(
    run: RunDirectory, budgets: Sequence[Budget], tensorboard: bool = False
) -> AdaptedNetwork | None:
    """What the run directory holds, if it is finished for these budgets; what is there to be read is completed."""
    summary = run.summary(budgets)
    if summary is None:
        return None
    logging.info("%s is finished.", run.path)
    if not run.file(REPORT).exists():
        keep_report(run)
    if tensorboard:
        table_only = summary.get("latency_is_from") == "table"
        scalars.follow(run.journal, run.file(scalars.FOLDER), summary["metric"]["name"], table_only)
    return adapted_network(run, summary)


def _adapt(problem: Problem, run: RunDirectory, command: str, tensorboard: bool) -> AdaptedNetwork:
    budgets, settings = problem.budgets, problem.settings
    tf_keras.utils.set_random_seed(settings.seed)
    work = Work(problem, run, Stopwatch(), strategy_of(settings.strategy))
    with opened_meters(problem) as meters:
        start = as_given(work)
        costs = costs_of(start, budgets, meters, problem.table, problem.resources)
        check_devices(run, budgets, costs)
        with work.clock("measure"):
            reaches = measured_reaches(costs, budgets, start.narrowest(settings.filter_multiple))
        check_reachable(reaches)
        with run.claimed():
            check_devices(run, budgets, costs)
            keep_devices(run, budgets, costs)
            if tensorboard:
                scalars.follow(run.journal, run.file(scalars.FOLDER), problem.task.metric.name, problem.table_only)
            start = trained(work, start)
            costs = costs_of(start, budgets, meters, problem.table, problem.resources)
            check_estimates(work, start, costs)
            result = _adapt_within_budgets(work, start, costs)
            keep_layers(run, start, costs, result.found.channels.widths, settings.filter_multiple)
            summary = summarised(work, command, budgets, start, costs, result)
            keep_report(run)
    return adapted_network(run, summary)


def _adapt_within_budgets(work: Work, start: Start, costs: Costs) -> Delivery:
    """Searches, fine-tunes and converts until the delivered file is within budget, or nothing more can be saved.

    The search measures files made by editing, on the scale of its first measurement; the delivered file,
    measured anew, has the last word. Where it disagrees, the search goes on with a limit as much lower.
    """
    budgets = work.problem.budgets
    beginning = measured_start(work, start, costs)
    goals: Sequence[Goal] = [
        Goal(budget.name, costs.budgeted[budget.name], budget.limit(beginning.costs[budget.name].value))
        for budget in budgets
    ]
    logging.info(
        "%d channel groups; hold-out %s %s; %s.",
        len(start.widths),
        work.problem.task.metric.name,
        score(beginning.accuracy, work.problem.task.metric.name),
        "; ".join(
            f"{goal.name} {amount(beginning.costs[goal.name].value, goal.resource.unit)}, budget {number(goal.limit)}"
            for goal in goals
        ),
    )
    if all(goal.is_met(beginning.costs[goal.name]) for goal in goals):
        logging.info("The starting network is within budget already.")
    while True:
        found = _searched(work, costs, goals, beginning)
        result = delivery(work, start, costs, found, last_stage(work, start, found))
        asked = {budget.name: budget.limit(result.before.amount(budget)) for budget in budgets}
        reached = {budget.name: result.after.amount(budget) for budget in budgets}
        corrected = corrected_by_delivery(goals, found.costs, asked, reached)
        if corrected is None:
            return result
        for goal in goals:
            if reached[goal.name] > asked[goal.name]:
                logging.info(
                    "The file costs %s, more than %s; searching on.",
                    amount(reached[goal.name], goal.resource.unit),
                    number(asked[goal.name]),
                )
        goals = corrected


def _searched(work: Work, costs: Costs, goals: Sequence[Goal], beginning: Iterate) -> Iterate:
    """What the search ends with; its workers end with it."""
    problem = work.problem
    fine_tune = partial(mid_term, work) if problem.settings.mid_term_epochs else None
    with opened(problem.place, problem.datasets, problem.source, problem.task, problem.settings) as executor:
        search = Search(
            goals,
            costs.counted,
            problem.datasets,
            problem.task,
            work.run,
            problem.settings,
            work.clock,
            executor,
            fine_tune,
        )
        found = search.run(beginning)
    if fine_tune:
        checkpoint_of(work.run).discard()
    return found
