"""The rows of `accuracy_vs_latency`: what trains each, what it is compared with, how all are timed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras
from absl import logging

from benchmarks.configuration import UNNAMED
from benchmarks.paired import paired_difference
from benchmarks.rows import RowFile
from benchmarks.uniform import shrunk_by_l2, widest_within
from netadapt_tf.adaptation import adapt_network
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.outcome import AdaptedNetwork
from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.search.journal import Journal
from netadapt_tf.settings import Settings
from netadapt_tf.training.datasets import Shuffled, steps_per_epoch
from netadapt_tf.training.image_dataset import load_image_dataset
from netadapt_tf.training.stages import train
from netadapt_tf.training.task import classification
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.target import Target
from tflite_bench.timing import Pair

_COLUMNS = ("row", "accuracy", "steps", "steps_before", "widths")
_BATCH_SIZE = 128
_EVALUATION_SHARE = 1 / 3  # of a training step's work that evaluating as many images takes
_COMPARED_WITH = "netadapt"
_DOUBLED = ", doubled"


@dataclass(frozen=True)
class Problem:
    """What is compared; `accuracy_vs_latency --help` explains each."""

    network: str
    alpha: float
    resolution: int
    dataset: str
    train_images: int
    holdout_images: int
    budget: str
    settings: Settings

    @property
    def target(self) -> Target:
        """Where latency is measured.

        Raises:
            UserError: the budget is not about latency.
        """
        target = parse_budget(self.budget).target
        if target is None:
            raise UserError(f"budget {self.budget!r} should be about latency, for example latency@host/cpu:1=50%")
        return target


class Comparison:
    """One problem, one output folder."""

    def __init__(self, problem: Problem, folder: Path) -> None:
        """Reads the data, and the rows that are finished.

        Raises:
            UserError: the folder belongs to another problem, or cannot be written.
        """
        self._problem = problem
        self._settings = problem.settings
        self._folder = folder
        self._target = problem.target
        self._rows = RowFile(folder / "rows.csv", _COLUMNS)
        self._check_problem()
        images = load_image_dataset(
            problem.dataset, problem.resolution, problem.holdout_images, problem.train_images, problem.settings.seed
        )
        self._classes = images.classes
        self._datasets = images.datasets(_BATCH_SIZE, "tf")
        batches = [(pixels.numpy(), labels.numpy()) for pixels, labels in self._datasets.test]
        self._test_images, self._test_labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))

    def train_missing_rows(self) -> None:
        """Trains and tests what the folder does not hold yet."""
        full, part = self._datasets.long_term, self._datasets.train
        start_steps = self._settings.pretrain_epochs * steps_per_epoch(part)
        long_steps = self._settings.long_term_epochs * steps_per_epoch(full)
        result = self._search()
        search_steps = self._search_steps()
        searched_steps, whole_steps = start_steps + search_steps, start_steps + search_steps + long_steps
        iterations = self._run_dir / "iterations"
        start = load_network(iterations / "000" / "network.keras")
        searched = load_network(iterations / f"{result.summary['iterations']:03d}" / "network.keras")
        if not self._has("start"):
            self._add("start", (self._run_dir / "start.tflite").read_bytes(), self._start_widths(), start_steps, 0)
        if not self._has(_COMPARED_WITH):
            tflite = result.tflite_path.read_bytes()
            self._add(_COMPARED_WITH, tflite, result.widths, long_steps, searched_steps)
        uniform = self._uniform_widths()
        scratch_steps = start_steps + long_steps

        self._train("netadapt, retrained", self._fresh(result.widths), full, scratch_steps, searched_steps)
        for name, steps in (("uniform", long_steps), ("uniform, whole compute", search_steps + long_steps)):
            self._train(name, shrunk_by_l2(start, uniform), full, steps, start_steps)
        self._train("multiplier", self._fresh(uniform), full, scratch_steps, 0)
        self._train("multiplier, whole compute", self._fresh(uniform), full, whole_steps, 0)

        self._train("start" + _DOUBLED, self._fresh(self._start_widths()), part, 2 * start_steps, 0)
        self._train("netadapt" + _DOUBLED, searched, full, 2 * long_steps, searched_steps)
        shrunk = shrunk_by_l2(start, uniform)
        self._train("uniform" + _DOUBLED, shrunk, full, 2 * long_steps, start_steps)
        self._train("multiplier" + _DOUBLED, self._fresh(uniform), full, 2 * scratch_steps, 0)

    def measured_ratios(self, measurings: int) -> dict[str, tuple[float, float]]:
        """Latency of each row's shape over the starting network's: the median of several measurings, and their range.

        All networks are built from their widths, with weights that no converter can simplify, and take turns.
        """
        start = self._tflite_of_shape(self._start_widths())
        shapes = {row["widths"] for row in self._rows.rows}
        files = {shape: self._tflite_of_shape(json.loads(shape)) for shape in sorted(shapes)}
        ratios: dict[str, list[float]] = {shape: [] for shape in files}
        with HostMeter(self._target) as meter:
            for _ in range(measurings):
                for shape, tflite in files.items():
                    ratios[shape].append(meter.compare(Pair(start, tflite)).ratio)
        return {
            row["row"]: (float(np.median(ratios[row["widths"]])), float(np.ptp(ratios[row["widths"]])))
            for row in self._rows.rows
        }

    def table(self, ratios: Mapping[str, tuple[float, float]]) -> str:
        """The rows side by side, in Markdown: rows against NetAdapt's, doubled ones against what they double."""
        lines = [
            "| row | latency / start (range) | accuracy | against | points (95 %) | training steps, search included |",
            "|---|---|---|---|---|---|",
        ]
        for row in self._rows.rows:
            name = row["row"]
            other = name.removesuffix(_DOUBLED) if name.endswith(_DOUBLED) else _COMPARED_WITH
            difference = paired_difference(self._right(name), self._right(other), self._settings.seed)
            ratio, spread = ratios[name]
            steps = int(row["steps"]) + int(row["steps_before"])
            against = ("", "") if name == other else (other, str(difference))
            accuracy = float(row["accuracy"])
            lines.append(
                f"| {name} | {ratio:.1%} ({spread:.1%}) | {accuracy:.2%} | {against[0]} | {against[1]} | {steps:,} |"
            )
        return "\n".join(lines)

    @property
    def _run_dir(self) -> Path:
        return self._folder / "search"

    def _check_problem(self) -> None:
        path = self._folder / "problem.json"
        problem = asdict(self._problem)
        if not path.exists() and not self._rows.rows:
            path.write_text(json.dumps(problem, indent=2) + "\n")
        earlier = _completed(json.loads(path.read_text())) if path.exists() else {}
        differing = [name for name, value in problem.items() if earlier.get(name) != value]
        if differing:
            raise UserError(
                f"{self._folder} holds rows of another problem; it differs in {', '.join(differing)}; name another "
                "folder with --output"
            )

    def _search(self) -> AdaptedNetwork:
        names = ["alpha", "resolution", "dataset", "train_images", "holdout_images"]
        if self._problem.network != UNNAMED:
            names.append("network")
        return adapt_network(
            self._fresh(self._start_widths()),
            self._datasets,
            [self._problem.budget],
            self._run_dir,
            settings=self._settings,
            identity={name: getattr(self._problem, name) for name in names},
            command="benchmarks.accuracy_vs_latency",
        )

    def _search_steps(self) -> int:
        """Training steps of all proposals, evaluations counted by their work."""
        proposals = sum(1 for _ in Journal(self._run_dir / "journal.jsonl").events("proposal"))
        evaluation_steps = _EVALUATION_SHARE * self._problem.holdout_images / _BATCH_SIZE
        return round(proposals * (self._settings.short_term_steps + evaluation_steps))

    def _train(self, name: str, network: tf_keras.Model, dataset: Shuffled, steps: int, steps_before: int) -> None:
        """Trains a row's network, unless it is finished."""
        if self._has(name):
            return
        epochs = round(steps / steps_per_epoch(dataset))
        logging.info("%s: %d epochs.", name, epochs)
        task, rate = classification(network), self._settings.long_term_learning_rate
        train(network, task, dataset, self._settings.seed + 1, epochs, rate, name)
        self._add(name, convert(network), find_channels(network).widths, steps, steps_before)

    def _add(self, name: str, tflite: bytes, widths: Widths, steps: int, steps_before: int) -> None:
        right = runtime.outputs(tflite, self._test_images).argmax(-1) == self._test_labels  # [N]
        np.save(self._right_path(name), np.packbits(right))
        shape = json.dumps(dict(widths))
        values = (name, float(right.mean()), steps, steps_before, shape)
        self._rows.add(dict(zip(_COLUMNS, values, strict=True)))
        logging.info("%s: accuracy %.4f.", name, right.mean())

    def _has(self, name: str) -> bool:
        return any(row["row"] == name for row in self._rows.rows)

    def _right(self, name: str) -> np.ndarray:
        """Which test images a row's network has right, bool [N]."""
        return np.unpackbits(np.load(self._right_path(name)), count=len(self._test_labels)).astype(bool)

    def _right_path(self, name: str) -> Path:
        return self._folder / f"{name.replace(', ', '_').replace(' ', '_')}.right.npy"

    def _start_widths(self) -> dict[str, int]:
        return NETWORKS[self._problem.network].widths(self._problem.alpha)

    def _fresh(self, widths: Widths) -> tf_keras.Model:
        tf_keras.utils.set_random_seed(self._settings.seed)
        return NETWORKS[self._problem.network].build(widths, self._problem.resolution, self._classes)

    def _uniform_widths(self) -> dict[str, int]:
        """The widest network of a smaller width multiplier that is measured to be within budget."""
        kept = next((row["widths"] for row in self._rows.rows if row["row"] == "uniform"), None)
        if kept is not None:
            return json.loads(kept)
        budget = parse_budget(self._problem.budget)
        start = (self._run_dir / "start.tflite").read_bytes()
        deployed = DeployedNetwork(start, find_channels(self._fresh(self._start_widths())).groups)
        with HostMeter(self._target) as meter:

            def is_within(widths: Widths) -> bool:
                measured = meter.compare(Pair(start, deployed.resized(widths)))
                return measured.ratio * measured.first_ms <= budget.limit(measured.first_ms)

            widths = widest_within(self._start_widths(), self._settings.filter_multiple, is_within)
        if widths is None:
            raise UserError(f"no width multiplier is within {budget.text}")
        return widths

    def _tflite_of_shape(self, widths: Widths) -> bytes:
        network = self._fresh(widths)
        randomise(network)
        return convert(network)


def _completed(problem: dict[str, Any]) -> dict[str, Any]:
    """A problem as it was written, with what there was no choice of at that time."""
    settings = asdict(Settings()) | problem.get("settings", {})
    return {"network": UNNAMED} | problem | {"settings": settings}
