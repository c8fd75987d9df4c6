"""The members of a search's family: which are asked for, and each fine-tuned and delivered in a folder of its own."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from netadapt_tf.delivery import delivery, last_stage, summarised
from netadapt_tf.figures import amount
from netadapt_tf.outcome import AdaptedNetwork, adapted_network
from netadapt_tf.reporting.keeping import keep_report
from netadapt_tf.resources.budget import Budget, parse_budget
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.curve import Point, along_curve
from netadapt_tf.search.delivery_folder import DeliveryFolder
from netadapt_tf.search.file_names import REPORT
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.iterate import Iterate, recorded, recorded_costs
from netadapt_tf.search.mending import mend, read_summary
from netadapt_tf.search.run_directory import looser
from netadapt_tf.settings import Settings
from netadapt_tf.start import Costs, Start
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.checkpoint import digest_of
from netadapt_tf.work import Work
from tflite_bench.errors import UserError


class Members:
    """Delivers the family of one run directory, which is claimed."""

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
                "%s has %d networks besides the start to offer, fewer than %d.",
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
            if not self._is_sound(record["iteration"]):
                continue
            costs = {budget: self._cost(record, budget) for budget in budgets}
            missed = {
                budget: f"{'up to ' if cost.spread else ''}{_over(budget, cost.at_most, budget.limit(cost.start))}"
                for budget, cost in costs.items()
                if not self._is_within(budget, cost)
            }
            last = record["iteration"]
            if missed:
                continue
            if not self._finished(self._run.member(last), budgets):
                self._check_folders(self._following(last, budgets))
            adapted = self.delivered(last, budgets)
            rows = {row.budget: row for row in adapted.budgets}
            missed = {
                budget: _over(budget, row.reached, row.asked)
                for budget in budgets
                if not (row := rows[budget.text]).met
            }
            if not missed:
                return adapted
            logging.info("The file of iteration %d is over budget; the next network is tried.", last)
        raise UserError(
            f"no network of {self._run.path} is within {_texts(budgets)}: the last one, of iteration {last}, costs "
            f"{' and '.join(missed.values())}; {_way_on(list(missed), run_budgets)}"
        )

    def all_delivered(self, iterations: Sequence[int]) -> tuple[AdaptedNetwork, ...]:
        """Members of the family; none, where a folder of one is another request's."""
        self._check_folders(iterations)
        return tuple(self.delivered(iteration) for iteration in iterations)

    def delivered(self, iteration: int, budgets: Sequence[Budget] = ()) -> AdaptedNetwork:
        """A member of the family; what is finished of it is not done again.

        Args:
            iteration: whose network it is.
            budgets: that it is judged by, besides those that it was judged by before.
        """
        run, folder = self._run, self._run.member(iteration)
        found = self._found(iteration)
        budgets = self._claim(folder, found, budgets)
        mend(folder.path, folder.journal)
        summary = self._finished(folder, budgets)
        if summary:
            logging.info("%s is finished.", folder.path)
        else:
            logging.info("Iteration %d of %s.", iteration, run.path)
            self._take_over(folder, iteration)
            work = dataclasses.replace(self._work, clock=Stopwatch(), member=folder)
            result = delivery(work, self._start, self._costs, found, last_stage(work, self._start, found))
            summary = summarised(work, self._command, budgets, self._start, self._costs, result)
        report = run.file(REPORT)
        if not report.exists() or report.stat().st_mtime_ns < folder.file("summary.json").stat().st_mtime_ns:
            keep_report(run)
        return adapted_network(run, summary, folder)

    def _found(self, iteration: int) -> Iterate:
        first = self._records[0]
        record = next(record for record in self._records if record["iteration"] == iteration)
        return recorded(self._run, record, self._start.channels, first["measured"])

    def _following(self, first: int, budgets: Sequence[Budget]) -> list[int]:
        """The first iteration within budgets, and those that have their turn if its file turns out to be over.

        One whose cost is not known yet is among them.
        """

        def is_over(record: Mapping[str, Any], budget: Budget) -> bool:
            cost = self._known_cost(record, budget)
            return cost is not None and not self._is_within(budget, cost)

        return [
            record["iteration"]
            for record in self._records[first:]
            if self._run.has_iteration(record["iteration"]) and not any(is_over(record, budget) for budget in budgets)
        ]

    def _check_folders(self, iterations: Sequence[int]) -> None:
        """Sees that no folder of these networks is another request's, before one of them is trained.

        Raises:
            UserError: one is, or it is damaged.
        """
        for iteration in iterations:
            folder = self._run.member(iteration)
            if folder.file("config.json").exists():
                self._config(folder, self._found(iteration))

    def _config(self, folder: DeliveryFolder, found: Iterate) -> dict[str, Any]:
        """What makes a folder this network's and that of these settings, and the budgets that it was judged by before.

        Raises:
            UserError: it is another's.
        """
        settings = self._work.problem.settings
        request = {
            "iteration": found.iteration,
            "network_sha256": digest_of(found.network.get_weights()),
            "long_term_epochs": settings.long_term_epochs,
            "long_term_learning_rate": settings.long_term_learning_rate,
        }
        judged = {"budgets": _judged_by(folder)}
        if not folder.file("config.json").exists():
            return {**request, **judged}
        earlier = _read_config(folder.file("config.json"))
        differing = [
            f"{name} (there {earlier.get(name)}, now {value})"
            for name, value in request.items()
            if earlier.get(name) != value
        ]
        if differing:
            raise UserError(
                f"{folder.path} is the outcome of another request, which differs in {', '.join(differing)}; rename or "
                "remove that folder, or ask as before"
            )
        return {**judged, **earlier}

    def _claim(self, folder: DeliveryFolder, found: Iterate, budgets: Sequence[Budget]) -> list[Budget]:
        """Notes in a folder whose it is; returns all budgets to judge it by, as far as they can be measured now."""
        config = self._config(folder, found)
        config["budgets"] = list(dict.fromkeys([*config["budgets"], *(budget.text for budget in budgets)]))
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_json("config.json", config)
        units = {budget.resource: budget.units for budget in self._work.problem.budgets}
        known = []
        for text in config["budgets"]:
            try:
                budget = parse_budget(text, units)
            except UserError:  # a resource of the caller's own, which is not given this time
                continue
            if budget.target in self._costs.latency or budget.name in {*self._costs.budgeted, *self._costs.counts}:
                known.append(budget)
        return known

    def _finished(self, folder: DeliveryFolder, budgets: Sequence[Budget]) -> dict[str, Any] | None:
        """The summary of a member that is delivered, and judged by these budgets."""
        summary = read_summary(folder.file("summary.json"))
        is_finished = summary and self._is_judged(summary, budgets) and folder.is_as_summarised(summary)
        return summary if is_finished else None

    def _is_judged(self, summary: Mapping[str, Any], budgets: Sequence[Budget]) -> bool:
        """Whether a summary is about these budgets, and about the devices that are measured on now."""
        there = summary["target"]
        return {budget.text for budget in budgets} <= {row["budget"] for row in summary["budgets"]} and all(
            there.get(str(target), latency.fingerprint) == latency.fingerprint
            for target, latency in self._costs.latency.items()
        )

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

    def _is_within(self, budget: Budget, cost: Measurement) -> bool:
        return Goal(budget.name, self._costs.budgeted[budget.name], budget.limit(cost.start)).is_met(cost)

    def _known_cost(self, record: Mapping[str, Any], budget: Budget) -> Measurement | None:
        """What an iteration's network costs, by the search where it measured that, or as it was measured later."""
        name = budget.name
        if name in record["measured"]:
            return recorded_costs({name: self._records[0]["measured"][name]}, record)[name]
        if name in self._costs.counts:
            return self._costs.counts[name].measure(self._run.widths(record["iteration"]))
        for kept in self._run.journal.events("cost"):
            is_of_it = kept["iteration"] == record["iteration"] and name in kept["measured"]
            if is_of_it and kept.get("fingerprint", {}) == self._device(budget):
                return recorded_costs(kept["start"], kept)[name]
        return None

    def _device(self, budget: Budget) -> dict[str, str | int]:
        return dict(self._costs.latency[budget.target].fingerprint) if budget.target else {}

    def _cost(self, record: Mapping[str, Any], budget: Budget) -> Measurement:
        """What an iteration's network costs; measured now, and kept, where that is not known yet."""
        known, name = self._known_cost(record, budget), budget.name
        if known is not None:
            return known
        cost = self._costs.budgeted[name].measure(self._run.widths(record["iteration"]))
        self._run.journal.append(
            "cost",
            iteration=record["iteration"],
            start={name: cost.start},
            measured={name: cost.value},
            spread={name: cost.spread},
            fingerprint=self._device(budget),
        )
        return cost


def _judged_by(folder: DeliveryFolder) -> list[str]:
    """The budgets that its summary tells of; what a configuration of earlier versions does not say."""
    summary = read_summary(folder.file("summary.json"))
    return [row["budget"] for row in summary["budgets"]] if summary else []


def _read_config(path: Path) -> dict[str, Any]:
    """What a folder of the family says of the request that it is of; earlier versions said nothing of budgets."""
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):
        config = None
    budgets = config.get("budgets", []) if isinstance(config, dict) else None
    if not isinstance(budgets, list) or not all(isinstance(budget, str) for budget in budgets):
        raise UserError(f"{path} is damaged; rename or remove its folder, and the network is delivered anew")
    return config


def _over(budget: Budget, cost: float, limit: float) -> str:
    return f"{amount(cost, budget.unit)} (allowed: {amount(limit, budget.unit)})"


def _texts(budgets: Sequence[Budget]) -> str:
    return ", ".join(budget.text for budget in budgets)


def _way_on(missed: Sequence[Budget], run_budgets: Sequence[Budget]) -> str:
    """What gives a network that is within these budgets, too."""
    asked = {budget.name: budget for budget in missed}
    if not asked.keys() <= {budget.name for budget in run_budgets}:
        return "search for it with netadapt, in another run directory"
    wanted = [asked.get(budget.name, budget) for budget in run_budgets]
    if wanted != list(run_budgets) and not looser(run_budgets, wanted):
        return f"the netadapt command of this run goes on with the search, given {_texts(wanted)}"
    return (
        "let the netadapt command of this run go on with the search, as it was begun, or for lower budgets that are "
        f"written like {_texts(run_budgets)}"
    )
