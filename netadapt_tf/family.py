"""The family of one search: networks of its iterations, long-term fine-tuned and delivered like its last one."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tf_keras

from netadapt_tf.beginning import as_given, trained
from netadapt_tf.devices import check_devices
from netadapt_tf.identity import run_identity
from netadapt_tf.members import Members
from netadapt_tf.outcome import AdaptedNetwork
from netadapt_tf.problem import opened_meters, problem_of, readable
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.resources.own import OwnResource, check_own
from netadapt_tf.search.run_directory import RESERVED, RunDirectory
from netadapt_tf.settings import Settings
from netadapt_tf.start import costs_of
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.stored_request import read_config, settings_of
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.replicas import strategy_of
from netadapt_tf.training.task import ACCURACY, Loss, Metric
from netadapt_tf.work import Work
from tflite_bench.errors import UserError


def finetune_iterations(
    run_dir: str | Path,
    datasets: Datasets | Callable[[], Datasets],
    *,
    iterations: Sequence[int] = (),
    budgets: Sequence[str] = (),
    pareto: int = 0,
    epochs: int | None = None,
    learning_rate: float | None = None,
    loss: Loss | None = None,
    metric: Metric | None = None,
    table: str | Path | None = None,
    benchmark_models: Sequence[str] = (),
    resources: Mapping[str, OwnResource] | None = None,
    allow_lambda: bool = False,
    command: str = "",
) -> tuple[AdaptedNetwork, ...]:
    """Long-term fine-tunes, converts, measures and reports networks of a search, finished or not.

    Each is kept in a folder `family/NNN` of the run directory, with the files and the summary that the run itself ends
    with. What is finished is not done again. One of `iterations`, `budgets` and `pareto` says which networks.

    Args:
        run_dir: of `adapt_network`; with its settings, which it holds.
        datasets: as they were given to `adapt_network`.
        iterations: their numbers; 0 is the start, which is delivered as it is.
        budgets: `RESOURCE[@TARGET]=AMOUNT`, met together by one network: the first of the search that is within all of
            them, by the search's measurements and by that of its delivered file.
        pareto: how many networks along the curve, see `search.curve.along_curve`, over the latency that the first of
            the run's budgets on latency is about; over its first budget where none is.
        epochs: of the long-term fine-tune; by default those of the run.
        learning_rate: of the long-term fine-tune at its first step; by default that of the run.
        loss: as it was given to `adapt_network`.
        metric: the same.
        table: the same.
        benchmark_models: the same.
        resources: the same.
        allow_lambda: the same. Layers of your own that are not registered need `tf_keras.saving.custom_object_scope`.
        command: how this was asked for, for the summaries.

    Returns:
        The networks, their files and their figures, the largest first.

    Raises:
        UserError: what the caller can mend: no run directory, an iteration that the search does not have, a budget that
            no network of it is within, a folder that holds the outcome of another request.
    """
    resources = resources or {}
    check_own(resources)
    units = {name: resource.units for name, resource in resources.items()}
    _check_asked(iterations, budgets, pareto)
    asked = parse_budgets(budgets, units) if budgets else ()
    config = read_config(Path(run_dir))
    settings = settings_of(config)
    run_budgets = parse_budgets(config["budgets"], units)
    run = RunDirectory(
        Path(run_dir), _identity(config, settings, loss, metric or ACCURACY), run_budgets, allow_lambda=allow_lambda
    )
    _check_iterations(run, iterations)
    network = run.load_iteration(0)
    with readable(network, allow_lambda):
        problem = problem_of(
            network,
            datasets,
            (*run_budgets, *asked),
            loss,
            metric,
            _with(settings, epochs, learning_rate),
            table,
            benchmark_models,
            config.get("table_only", False),
            resources,
        )
        tf_keras.utils.set_random_seed(settings.seed)
        work = Work(problem, run, Stopwatch(), strategy_of(settings.strategy))
        with opened_meters(problem) as meters, run.claimed():
            _check_iterations(run, iterations)  # mending may have gone back
            start = trained(work, as_given(work))
            costs = costs_of(start, problem.budgets, meters, problem.table, resources)
            check_devices(run, run_budgets, costs)
            members = Members(work, start, costs, settings, command)
            if asked:
                return (members.within(asked, run_budgets),)
            chosen = members.along_curve(pareto, run_budgets) if pareto else sorted(set(iterations))
            return members.all_delivered(chosen)


def _check_asked(iterations: Sequence[int], budgets: Sequence[str], pareto: int) -> None:
    if not isinstance(pareto, int) or pareto < 0:
        raise UserError(f"pareto is {pareto!r}; it should be an integer of at least 1")
    if sum(map(bool, (iterations, budgets, pareto))) != 1:
        raise UserError(
            "one of three says which networks: iterations, budgets, or how many along the curve (--iteration, "
            "--budget, --pareto)"
        )


def _identity(config: Mapping[str, Any], settings: Settings, loss: Loss | None, metric: Metric) -> dict[str, Any]:
    """The run's request as it is, but for what is given anew or is up to this machine."""
    own = run_identity(None, None, settings, loss, metric, config.get("table_only", False))
    return {key: value for key, value in config.items() if key not in RESERVED} | own


def _with(settings: Settings, epochs: int | None, learning_rate: float | None) -> Settings:
    return dataclasses.replace(
        settings,
        long_term_epochs=settings.long_term_epochs if epochs is None else epochs,
        long_term_learning_rate=settings.long_term_learning_rate if learning_rate is None else learning_rate,
    )


def _check_iterations(run: RunDirectory, iterations: Sequence[int]) -> None:
    """Sees that the search has them, and that the starting network is sound.

    Raises:
        UserError: it has not.
    """
    last = run.journal.last("iteration")
    if last is None:
        raise UserError(f"the search in {run.path} has no iteration yet; let netadapt begin it")
    for iteration in iterations:
        if not isinstance(iteration, int) or not 0 <= iteration <= last["iteration"]:
            raise UserError(
                f"{run.path} has no iteration {iteration}; it has those from 0, the start, to {last['iteration']}"
            )
    for iteration in (0, *iterations):
        if not run.has_iteration(iteration):
            raise UserError(f"{run.iteration(iteration)} is damaged or gone; ask for another network")
