"""The rows of `accuracy_vs_latency`: what trains each, what it is compared with, how all are timed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tf_keras
from absl import logging

from benchmarks.paired import paired_difference
from benchmarks.rows import Row, Rows
from benchmarks.uniform import shrunk_by_l2, widest_within
from netadapt_tf.adaptation import adapt_network
from netadapt_tf.networks.channel_groups import Widths, find_channel_groups, widths_of
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths
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
from tflite_bench.host import HostMeter
from tflite_bench.timing import Pair

_BATCH_SIZE = 128
_EVALUATION_SHARE = 1 / 3  # of a training step's work that evaluating as many images takes
_COMPARED_WITH = "netadapt"


@dataclass(frozen=True)
class Problem:
    """What is compared; `accuracy_vs_latency --help` explains each."""

    alpha: float
    resolution: int
    dataset: str
    train_images: int
    holdout_images: int
    budget: str
    settings: Settings

    def identity(self) -> dict[str, object]:
        """What the search's run directory is for."""
        names = ("alpha", "resolution", "dataset", "train_images", "holdout_images")
        return {name: getattr(self, name) for name in names}


class Comparison:
    """One problem, one output folder."""

    def __init__(self, problem: Problem, folder: Path) -> None:
        """Reads the data, and the rows that are finished."""
        self._problem = problem
        self._settings = problem.settings
        self._rows = Rows(folder)
        self._run_dir = folder / "search"
        images = load_image_dataset(
            problem.dataset, problem.resolution, problem.holdout_images, problem.train_images, problem.settings.seed
        )
        self._classes = images.classes
        self._datasets = images.datasets(_BATCH_SIZE, "tf")
        batches = [(pixels.numpy(), labels.numpy()) for pixels, labels in self._datasets.test]
        self._test_images, self._test_labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))

    def train_missing_rows(self) -> None:
        """Trains and tests what the folder does not hold yet."""
        settings, full, part = self._settings, self._datasets.long_term, self._datasets.train
        start_steps = settings.pretrain_epochs * steps_per_epoch(part)
        long_steps = settings.long_term_epochs * steps_per_epoch(full)
        search_steps = self._search()
        start = load_network(self._run_dir / "iterations" / "000" / "network.keras")
        searched = load_network(sorted((self._run_dir / "iterations").iterdir())[-1] / "network.keras")
        adapted = widths_of(find_channel_groups(searched))
        uniform = self._uniform_widths()
        self._row("netadapt, retrained", 0, lambda: (self._fresh(adapted), full, start_steps + long_steps))
        shrunk = shrunk_by_l2(start, find_channel_groups(start), uniform)
        self._row("uniform", start_steps, lambda: (shrunk, full, long_steps))
        self._row("multiplier", 0, lambda: (self._fresh(uniform), full, start_steps + long_steps))
        whole = start_steps + search_steps + long_steps
        self._row("multiplier, whole compute", 0, lambda: (self._fresh(uniform), full, whole))
        before_long = start_steps + search_steps
        self._row("start, doubled", 0, lambda: (self._fresh(self._start_widths()), part, 2 * start_steps))
        self._row("netadapt, doubled", before_long, lambda: (searched, full, 2 * long_steps))
        retrained_steps = 2 * (start_steps + long_steps)
        self._row("netadapt, retrained, doubled", 0, lambda: (self._fresh(adapted), full, retrained_steps))
        self._row("multiplier, doubled", 0, lambda: (self._fresh(uniform), full, retrained_steps))

    def measured_ratios(self, measurings: int) -> dict[str, tuple[float, float]]:
        """Latency of each row's shape over the starting network's: the median of several measurings, and their range.

        All networks are built from their widths, with weights that no converter can simplify, and take turns.
        """
        start = self._tflite_of_shape(self._start_widths())
        shapes = {tuple(row.widths.items()): row.widths for row in self._rows}
        files = {shape: self._tflite_of_shape(widths) for shape, widths in shapes.items()}
        ratios: dict[tuple, list[float]] = {shape: [] for shape in shapes}
        target = parse_budget(self._problem.budget).target
        assert target is not None
        with HostMeter(target) as meter:
            for _ in range(measurings):
                for shape, tflite in files.items():
                    ratios[shape].append(meter.compare(Pair(start, tflite)).ratio)
        return {
            row.name: (float(np.median(of_shape)), float(np.ptp(of_shape)))
            for row in self._rows
            for of_shape in [ratios[tuple(row.widths.items())]]
        }

    def table(self, ratios: Mapping[str, tuple[float, float]]) -> str:
        """The rows side by side, in Markdown."""
        lines = [
            "| row | latency / start (range) | accuracy | against netadapt, points (95 %) | training steps | minutes |",
            "|---|---|---|---|---|---|",
        ]
        netadapt = self._right(_COMPARED_WITH)
        for row in self._rows:
            difference = paired_difference(self._right(row.name), netadapt, self._settings.seed)
            verdict = "" if difference.resolved else ", not resolvable"
            against = f"{difference.points:+.2f} ({difference.low:+.2f} to {difference.high:+.2f}{verdict})"
            ratio, spread = ratios[row.name]
            lines.append(
                f"| {row.name} | {ratio:.1%} ({spread:.1%}) | {row.accuracy:.2%} "
                f"| {'' if row.name == _COMPARED_WITH else against} | {row.training_steps:,} | {row.minutes:.1f} |"
            )
        return "\n".join(lines)

    def _search(self) -> int:
        """Runs the search, or reads it; returns the training steps it took, evaluations counted by their work."""
        begin = time.monotonic()
        tf_keras.utils.set_random_seed(self._settings.seed)
        result = adapt_network(
            self._fresh(self._start_widths()),
            self._datasets,
            [self._problem.budget],
            self._run_dir,
            settings=self._settings,
            identity=self._problem.identity(),
            command="benchmarks.accuracy_vs_latency",
        )
        proposals = sum(1 for _ in Journal(self._run_dir / "journal.jsonl").events("proposal"))
        evaluation_steps = _EVALUATION_SHARE * self._problem.holdout_images / _BATCH_SIZE
        search_steps = round(proposals * (self._settings.short_term_steps + evaluation_steps))
        start_steps = self._settings.pretrain_epochs * steps_per_epoch(self._datasets.train)
        long_steps = self._settings.long_term_epochs * steps_per_epoch(self._datasets.long_term)
        wall_s = result.summary["wall_s"]
        logging.info("The search is done, %.1f min.", (time.monotonic() - begin) / 60)
        if "start" not in self._rows:
            start_tflite = (self._run_dir / "start.tflite").read_bytes()
            minutes = wall_s["pretrain"] / 60
            self._add("start", start_tflite, start_steps, minutes, self._start_widths())
        if _COMPARED_WITH not in self._rows:
            steps = start_steps + search_steps + long_steps
            self._add(_COMPARED_WITH, result.tflite_path.read_bytes(), steps, wall_s["total"] / 60, result.widths)
        return search_steps

    def _row(self, name: str, steps_before: int, make: Callable[[], tuple[tf_keras.Model, Shuffled, int]]) -> None:
        """Trains a row's network, unless it is finished."""
        if name in self._rows:
            return
        begin = time.monotonic()
        network, dataset, steps = make()
        epochs = round(steps / steps_per_epoch(dataset))
        logging.info("%s: %d epochs.", name, epochs)
        train(
            network,
            classification(network),
            dataset,
            self._settings.seed + 1,
            epochs,
            self._settings.long_term_learning_rate,
            name,
        )
        minutes = (time.monotonic() - begin) / 60
        widths = widths_of(find_channel_groups(network))
        self._add(name, convert(network), steps_before + steps, minutes, widths)

    def _add(self, name: str, tflite: bytes, steps: int, minutes: float, widths: Widths) -> None:
        answers = runtime.outputs(tflite, self._test_images).argmax(-1)  # [N]
        right = answers == self._test_labels
        self._rows.add(Row(name, float(right.mean()), steps, minutes, dict(widths)), right)
        logging.info("%s: accuracy %.4f.", name, right.mean())

    def _right(self, name: str) -> np.ndarray:
        return self._rows.right(name, len(self._test_labels))

    def _start_widths(self) -> dict[str, int]:
        return mobilenet_v1_widths(self._problem.alpha)

    def _fresh(self, widths: Widths) -> tf_keras.Model:
        tf_keras.utils.set_random_seed(self._settings.seed)
        return mobilenet_v1(widths, self._problem.resolution, self._classes)

    def _uniform_widths(self) -> dict[str, int]:
        """The widest network of a smaller width multiplier that is measured to be within budget."""
        if "uniform" in self._rows:
            return self._rows["uniform"].widths
        budget = parse_budget(self._problem.budget)
        assert budget.target is not None
        start = (self._run_dir / "start.tflite").read_bytes()
        groups = find_channel_groups(self._fresh(self._start_widths()))
        deployed = DeployedNetwork(start, groups)
        with HostMeter(budget.target) as meter:

            def is_within(widths: Widths) -> bool:
                measured = meter.compare(Pair(start, deployed.resized(widths)))
                return measured.ratio * measured.first_ms <= budget.limit(measured.first_ms)

            widths = widest_within(self._start_widths(), self._settings.filter_multiple, is_within)
        if widths is None:
            raise ValueError(f"no width multiplier is within {budget.text}")
        return widths

    def _tflite_of_shape(self, widths: Widths) -> bytes:
        network = self._fresh(widths)
        generator = np.random.default_rng(self._settings.seed)
        for layer in network.layers:
            layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
        return convert(network)
