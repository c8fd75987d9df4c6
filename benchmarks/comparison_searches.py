"""The searches of a comparison: one by latency and one by MACs for each seed; both serve all budgets."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tf_keras
from absl import logging

from benchmarks.processor_time import counted, minutes
from netadapt_tf.adaptation import adapt_network
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.search.journal import Journal
from netadapt_tf.settings import Settings
from netadapt_tf.training.datasets import Datasets, steps_per_epoch
from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.target import Target
from tflite_bench.timing import Pair

ANSWERS_SHARE = 1 / 3
"""Of a training step's work that answering as many images takes: to evaluate them, or to teach another network."""

_MACS_STEP = 10  # percent of MACs that a search by MACs is sent further at a time


@dataclass(frozen=True)
class Found:
    """A network that a search came by.

    Attributes:
        network: with the weights that the search left it.
        widths: of the network.
        steps: training steps of the search up to there, evaluations counted by their work.
        minutes: of the processor, likewise.
    """

    network: tf_keras.Model
    widths: Widths
    steps: int
    minutes: float


class Searches:
    """Those of one seed, from one starting network."""

    def __init__(
        self,
        folder: Path,
        start: tf_keras.Model,
        datasets: Datasets,
        settings: Settings,
        target: Target,
        evaluation_batches: float,
        table: str | None,
    ) -> None:
        """Takes what the searches need to know; nothing is searched yet.

        Args:
            folder: where the run directories are.
            start: the pre-trained network.
            datasets: to fine-tune on, and to rank by.
            settings: how to search; the last stage is not these searches' business.
            target: where latency is measured.
            evaluation_batches: the hold-out images over those of a training batch.
            table: file of the latency table.
        """
        self._folder = folder
        self._start = start
        self._datasets = datasets
        self._settings = replace(settings, pretrain_epochs=0, long_term_epochs=0, distillation=0.0)
        self._target = target
        evaluation_steps = ANSWERS_SHARE * evaluation_batches
        self._proposal_steps = settings.short_term_steps + evaluation_steps
        self._mid_term_steps = 0.0
        if settings.mid_term_epochs:
            self._mid_term_steps = settings.mid_term_epochs * steps_per_epoch(datasets.train) + evaluation_steps
        self._table = table

    def by_latency(self, percents: Sequence[int], percent: int, name: str = "latency") -> Found:
        """What a search to this budget ends with, on its way to lower ones.

        Args:
            percents: the budgets, the largest first: each is a leg of one search, whose last step ends just there.
            percent: one of them.
            name: of the search; searches of other settings need others.
        """
        for leg in percents:
            last = self._searched(name, f"latency@{self._target}={leg}%")
            if leg == percent:
                return self._found(name, last)
        raise ValueError(f"{percent} is none of {percents}")

    def by_macs(self, percent: int) -> Found:
        """The first network of a search by MACs whose measured latency is within this budget.

        Raises:
            UserError: there is none.
        """
        deployed, tried = None, 0
        for leg in range(100 - _MACS_STEP, 0, -_MACS_STEP):
            last = self._searched("macs", f"macs={leg}%")
            deployed = deployed or DeployedNetwork(
                (self._run_dir("macs") / "start.tflite").read_bytes(), find_channels(self._start).groups
            )
            start = deployed.resized({})
            with HostMeter(self._target) as meter:
                for number in range(tried, last + 1):
                    ratio = meter.compare(Pair(start, deployed.resized(self._widths("macs", number)))).ratio
                    logging.info("Iteration %d of the search by MACs: %.1f %% of the latency.", number, 100 * ratio)
                    if ratio <= percent / 100:
                        return self._found("macs", number)
            tried = last + 1
        raise UserError(f"no network of the search by MACs takes {percent} % of the starting network's latency")

    def _searched(self, search: str, budget: str) -> int:
        """The iteration that a leg ends with; it is searched unless that is done."""
        end = self._end(search, budget)
        if end is not None:
            return end
        with counted(self._clock(search)):
            adapted = adapt_network(
                self._start,
                self._datasets,
                [budget],
                self._run_dir(search),
                settings=self._settings,
                table=self._table,
                command="benchmarks.accuracy_vs_latency",
            )
        return adapted.summary["iterations"]

    def _end(self, search: str, budget: str) -> int | None:
        """The iteration that a leg ended with, None where it is not done."""
        last = 0
        for record in Journal(self._run_dir(search) / "journal.jsonl").events():
            if record["event"] == "iteration":
                last = record["iteration"]
            elif record["event"] == "finished" and record["budget"] == budget:
                return last
        return None

    def _found(self, search: str, iteration: int) -> Found:
        steps, whole = self._steps(search, iteration), self._steps(search)
        return Found(
            load_network(self._iteration(search, iteration) / "network.keras"),
            self._widths(search, iteration),
            round(steps),
            minutes(self._clock(search)) * steps / max(1.0, whole),
        )

    def _steps(self, search: str, last: float = math.inf) -> float:
        """Training steps until the end of an iteration, or of all; evaluations counted by their work."""
        per_record = {"proposal": self._proposal_steps, "iteration": self._mid_term_steps}
        records = Journal(self._run_dir(search) / "journal.jsonl").events()
        return sum(per_record.get(r["event"], 0.0) for r in records if 0 < r.get("iteration", 0) <= last)

    def _widths(self, search: str, iteration: int) -> dict[str, int]:
        return json.loads((self._iteration(search, iteration) / "widths.json").read_text())

    def _iteration(self, search: str, iteration: int) -> Path:
        return self._run_dir(search) / "iterations" / f"{iteration:03d}"

    def _clock(self, search: str) -> Path:
        return self._folder / f"{search}.minutes"

    def _run_dir(self, search: str) -> Path:
        return self._folder / search
