"""The family of one search: networks of its iterations, long-term fine-tuned and delivered like its last one."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tf_keras
from absl import logging

from netadapt_tf.beginning import as_given, trained
from netadapt_tf.delivery import delivery, last_stage, summarised
from netadapt_tf.devices import check_devices
from netadapt_tf.identity import run_identity
from netadapt_tf.outcome import AdaptedNetwork, adapted_network
from netadapt_tf.problem import opened_meters, problem_of, readable
from netadapt_tf.resources.budget import Budget, amount_text, parse_budget, parse_budgets
from netadapt_tf.resources.own import OwnResource, check_own
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.curve import Point, along_curve
from netadapt_tf.search.delivery_folder import DeliveryFolder
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.iterate import Iterate, recorded, recorded_costs
from netadapt_tf.search.mending import mend, read_summary
from netadapt_tf.search.run_directory import RESERVED, RunDirectory
from netadapt_tf.settings import Settings
from netadapt_tf.start import Costs, Start, costs_of
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.stored_request import read_config, settings_of
from netadapt_tf.training.checkpoint import digest_of
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
            start = trained(work, as_given(work))
            costs = costs_of(start, problem.budgets, meters, problem.table, resources)
            check_devices(run, run_budgets, costs)
            family = _Family(work, start, costs, settings, command)
            if asked:
                return (family.within(asked, run_budgets),)
            chosen = family.along_curve(pareto, run_budgets) if pareto else sorted(set(iterations))
            return tuple(family.delivered(iteration) for iteration in chosen)


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


class _Family:
    """The networks of one run directory, which is claimed."""

    def __init__(self, work: Work, start: Start, costs: Costs, run_settings: Settings, command: str) -> None:
        """Takes what all members share.

        Args:
            work: an adaptation with the settings of the members.
            start: the starting network.
            costs: of the run's budgets, and those that are asked for.
            run_settings: those that the run was begun with.
            command: how this was asked for.
        """
        self._work = work
        self._run = work.run
        self._start = start
        self._costs = costs
        self._run_settings = run_settings
        self._command = command
        self._records = list(work.run.journal.events("iteration"))

    def along_curve(self, count: int, budgets: Sequence[Budget]) -> list[int]:
        """So many iterations along the curve."""
        name = next((budget.name for budget in budgets if budget.target), budgets[0].name)
        metric = self._work.problem.task.metric
        points = [
            Point(record["iteration"], record["measured"][name], metric.score(record["accuracy"]))
            for record in self._records
            if self._is_sound(record["iteration"])
        ]
        chosen = along_curve(points, count)
        if len(chosen) < count:
            logging.warning(
                "The curve of %s has %d networks to offer, fewer than %d: the others are no cheaper than one of them "
                "that is at least as accurate on the hold-out set; --iteration names any.",
                self._run.path,
                len(chosen),
                count,
            )
        return chosen

    def within(self, budgets: Sequence[Budget], run_budgets: Sequence[Budget]) -> AdaptedNetwork:
        """The first network that is within budgets, as measured by the search and as delivered.

        Raises:
            UserError: none is.
        """
        for record in self._records:
            costs = {budget: self._cost(record, budget) for budget in budgets}
            reached = {budget: (cost.value, budget.limit(cost.start)) for budget, cost in costs.items()}
            is_within = all(
                Goal(budget.name, self._costs.budgeted[budget.name], budget.limit(cost.start)).is_met(cost)
                for budget, cost in costs.items()
            )
            if not is_within or not self._is_sound(record["iteration"]):
                continue
            adapted = self.delivered(record["iteration"], budgets)
            rows = {row.budget: row for row in adapted.budgets}
            if all(rows[budget.text].met for budget in budgets):
                return adapted
            reached = {budget: (rows[budget.text].reached, rows[budget.text].asked) for budget in budgets}
            logging.info("The file of iteration %d is over budget; the next network is tried.", record["iteration"])
        asked = ", ".join(budget.text for budget in budgets)
        is_of_run = {budget.name for budget in budgets} == {budget.name for budget in run_budgets}
        raise UserError(
            f"no network of {self._run.path} is within {asked}: "
            + ", ".join(
                f"the last one, of iteration {self._records[-1]['iteration']}, costs {amount_text(cost, budget.unit)}, "
                f"and at most {amount_text(limit, budget.unit)} is allowed"
                for budget, (cost, limit) in reached.items()
            )
            + "; "
            + (
                "the netadapt command of this run goes on with the search, given this budget"
                if is_of_run
                else "search for it with netadapt, in another run directory"
            )
        )

    def delivered(self, iteration: int, budgets: Sequence[Budget] = ()) -> AdaptedNetwork:
        """A member of the family; what is finished of it is not done again.

        Args:
            iteration: whose network it is.
            budgets: that it is judged by, besides those that it was judged by before.
        """
        run, folder = self._run, self._run.member(iteration)
        found = self._found(iteration)
        folder.path.mkdir(parents=True, exist_ok=True)
        self._claim(folder, found)
        mend(folder.path, folder.journal)
        judged = self._judged_before(folder)
        budgets = [*judged, *(budget for budget in budgets if budget.text not in {b.text for b in judged})]
        summary = read_summary(folder.file("summary.json"))
        if summary and len(judged) == len(budgets) and folder.is_as_summarised(summary):
            logging.info("%s is finished.", folder.path)
            return adapted_network(run, summary, folder)
        logging.info("Iteration %d of %s.", iteration, run.path)
        self._take_over(folder, iteration)
        work = dataclasses.replace(self._work, clock=Stopwatch(), member=folder)
        result = delivery(work, self._start, self._costs, found, last_stage(work, found))
        summary = summarised(work, self._command, budgets, self._start, self._costs, result)
        digest = folder.digest("adapted.tflite")
        if (iteration, digest) not in {(r["iteration"], r["sha256"]) for r in run.journal.events("family")}:
            run.journal.append("family", iteration=iteration, sha256=digest)
        return adapted_network(run, summary, folder)

    def _found(self, iteration: int) -> Iterate:
        first = self._records[0]
        record = next(record for record in self._records if record["iteration"] == iteration)
        return recorded(self._run, record, self._start.channels, first["measured"])

    def _claim(self, folder: DeliveryFolder, found: Iterate) -> None:
        """Sees that a folder is of this network and these settings."""
        settings = self._work.problem.settings
        request = {
            "iteration": found.iteration,
            "network_sha256": digest_of(found.network.get_weights()),
            "long_term_epochs": settings.long_term_epochs,
            "long_term_learning_rate": settings.long_term_learning_rate,
        }
        earlier = folder.read_json("config.json")
        if earlier is None:
            folder.write_json("config.json", request)
        elif earlier != request:
            differing = [
                f"{name} (there {earlier.get(name)}, now {value})"
                for name, value in request.items()
                if earlier.get(name) != value
            ]
            raise UserError(
                f"{folder.path} is the outcome of another request, which differs in {', '.join(differing)}; rename or "
                "remove that folder, or ask as before"
            )

    def _judged_before(self, folder: DeliveryFolder) -> list[Budget]:
        """The budgets of its summary, as far as what they are about is known now."""
        summary = read_summary(folder.file("summary.json")) or {"budgets": []}
        units = {budget.resource: budget.units for budget in self._work.problem.budgets}
        judged = []
        for row in summary["budgets"]:
            try:
                budget = parse_budget(row["budget"], units)
            except UserError:  # a resource of the caller's own, which is not given this time
                continue
            if budget.target in self._costs.latency or budget.name in {*self._costs.budgeted, *self._costs.counts}:
                judged.append(budget)
        return judged

    def _take_over(self, folder: DeliveryFolder, iteration: int) -> None:
        """What the run has trained of this very network is not trained again."""
        if self._work.problem.settings != self._run_settings:
            return
        for event, name in (("long_term", "adapted.keras"), ("quantization_aware", "adapted.tflite")):
            if self._run.is_done(event, iteration, name) and not folder.is_done(event, iteration, name):
                logging.info("The run has trained this network already: %s.", self._run.file(name))
                folder.write_bytes(name, self._run.file(name).read_bytes())
                folder.journal.append(event, iteration=iteration, sha256=folder.digest(name))

    def _is_sound(self, iteration: int) -> bool:
        is_sound = self._run.has_iteration(iteration)
        if not is_sound:
            logging.warning("%s is damaged or gone; it is passed over.", self._run.iteration(iteration))
        return is_sound

    def _cost(self, record: Mapping[str, Any], budget: Budget) -> Measurement:
        """What an iteration's network costs, by the search where it measured that; else measured now, and kept."""
        name = budget.name
        if name in record["measured"]:
            return recorded_costs({name: self._records[0]["measured"][name]}, record)[name]
        widths = self._run.widths(record["iteration"])
        if name in self._costs.counts:
            return self._costs.counts[name].measure(widths)
        for kept in self._run.journal.events("cost"):
            if kept["iteration"] == record["iteration"] and name in kept["measured"]:
                return recorded_costs(kept["start"], kept)[name]
        cost = self._costs.budgeted[name].measure(widths)
        self._run.journal.append(
            "cost",
            iteration=record["iteration"],
            start={name: cost.start},
            measured={name: cost.value},
            spread={name: cost.spread},
        )
        return cost
