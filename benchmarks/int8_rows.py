"""The rows of `benchmarks.int8`: what is searched, trained and rounded, and how all are timed."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tf_keras
from absl import logging

from benchmarks.claimed_folder import claim
from benchmarks.paired import paired_difference
from benchmarks.rows import RowFile
from netadapt_tf.adaptation import adapt_network
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.outcome import AdaptedNetwork
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.settings import Settings
from netadapt_tf.training.calibration import calibration_images, noise
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.image_dataset import find_images, load_image_dataset
from netadapt_tf.training.quantization_aware import trained_quantization_aware
from netadapt_tf.training.stages import train
from netadapt_tf.training.task import classification
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.target import parse_target
from tflite_bench.timing import Pair

_COLUMNS = ("seed", "row", "float32", "int8", "int8_aware", "widths")
_START, _BY_INT8, _BY_FLOAT32 = "start", "searched in int8", "searched in float32"
_NAMED = NETWORKS["mobilenet_v1"]
_BATCH_SIZE = 128
_PERCENT_STEP = 5  # that the float32 search goes further, where it ends too slow in int8


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is compared; `benchmarks.int8 --help` explains each."""

    alpha: float
    resolution: int
    dataset: str
    train_images: int
    holdout_images: int
    target: str
    percent: int
    settings: Settings


class Int8Rows:
    """One problem, one output folder."""

    def __init__(self, problem: Problem, folder: Path) -> None:
        """Reads the rows that are finished.

        Raises:
            UserError: the folder belongs to another problem, or cannot be written.
        """
        claim(folder, dataclasses.asdict(problem))
        self._problem = problem
        self._folder = folder
        self._rows = RowFile(folder / "rows.csv", _COLUMNS)
        self._classes = find_images(problem.dataset).classes

    def train_missing(self, seed: int) -> None:
        """Trains, searches, rounds and tests what the folder does not hold yet of a seed."""
        if all(self._has(seed, row) for row in (_START, _BY_INT8, _BY_FLOAT32)):
            return
        problem = self._problem
        settings = dataclasses.replace(problem.settings, seed=seed)
        images = load_image_dataset(
            problem.dataset, problem.resolution, problem.holdout_images, problem.train_images, seed
        )
        datasets = images.datasets(_BATCH_SIZE, "tf")
        start = self._start(seed, datasets, settings)
        self._add(seed, _START, start, datasets, settings)
        by_int8 = self._searched(seed, "int8", problem.percent, start, datasets, settings)
        self._add(seed, _BY_INT8, by_int8.network, datasets, settings)
        if not self._has(seed, _BY_FLOAT32):
            network = self._as_fast(seed, by_int8.widths, start, datasets, settings)
            task, rate = classification(network), settings.long_term_learning_rate
            train(network, task, datasets.long_term, seed + 1, settings.long_term_epochs, rate, "long-term fine-tune")
            self._add(seed, _BY_FLOAT32, network, datasets, settings)

    def measured_ratios(self, measurings: int) -> dict[tuple[str, str], tuple[float, float]]:
        """Latency in int8 of each row's shape over the start's: the median of several measurings, and their range.

        All networks are built from their widths, with weights that no converter can simplify, and take turns.
        """
        start = self._tflite_of_shape(_NAMED.widths(self._problem.alpha))
        files = {
            shape: self._tflite_of_shape(json.loads(shape)) for shape in {row["widths"] for row in self._rows.rows}
        }
        ratios: dict[str, list[float]] = {shape: [] for shape in sorted(files)}
        with HostMeter(parse_target(self._problem.target)) as meter:
            for _ in range(measurings):
                for shape in ratios:
                    ratios[shape].append(meter.compare(Pair(start, files[shape])).ratio)
        summed_up = {shape: (float(np.median(values)), float(np.ptp(values))) for shape, values in ratios.items()}
        return {(row["seed"], row["row"]): summed_up[row["widths"]] for row in self._rows.rows}

    def table(self, ratios: Mapping[tuple[str, str], tuple[float, float]]) -> str:
        """The rows side by side, in Markdown; and by seed how the two searches differ."""
        lines = [
            "| seed | row | int8 latency / start (range) | float32 | int8, after training | int8, quantisation-aware |",
            "|---|---|---|---|---|---|",
        ]
        for row in self._rows.rows:
            ratio, spread = ratios[row["seed"], row["row"]]
            accuracies = " | ".join(f"{float(row[name]):.2%}" for name in ("float32", "int8", "int8_aware"))
            lines.append(f"| {row['seed']} | {row['row']} | {ratio:.1%} ({spread:.1%}) | {accuracies} |")
        for seed in dict.fromkeys(row["seed"] for row in self._rows.rows):
            for kind in ("int8", "int8_aware"):
                own, other = (self._right(int(seed), row, kind) for row in (_BY_INT8, _BY_FLOAT32))
                difference = paired_difference(own, other, int(seed))
                lines.append(f"\nSeed {seed}, {kind}: {_BY_INT8} less {_BY_FLOAT32}, points: {difference}")
        return "\n".join(lines)

    def _tflite_of_shape(self, widths: Widths) -> bytes:
        network = _NAMED.build(widths, self._problem.resolution, self._classes)
        randomise(network)
        return convert(network, "int8", noise(network))

    def _start(self, seed: int, datasets: Datasets, settings: Settings) -> tf_keras.Model:
        path = self._path(seed, _START, "keras")
        if path.exists():
            return load_network(path)
        tf_keras.utils.set_random_seed(seed)
        network = _NAMED.build(_NAMED.widths(self._problem.alpha), self._problem.resolution, self._classes)
        task, rate = classification(network), settings.pretrain_learning_rate
        train(network, task, datasets.train, seed, settings.pretrain_epochs, rate, "pre-training")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_network(network, path)
        return network

    def _searched(
        self, seed: int, precision: str, percent: int, start: tf_keras.Model, datasets: Datasets, settings: Settings
    ) -> AdaptedNetwork:
        return adapt_network(
            start,
            datasets,
            [f"latency@{self._problem.target}={percent}%"],
            self._run_dir(seed, precision),
            settings=dataclasses.replace(settings, pretrain_epochs=0, precision=precision, quantization_aware_epochs=0),
            command="benchmarks.int8",
        )

    def _as_fast(
        self, seed: int, widths: Widths, start: tf_keras.Model, datasets: Datasets, settings: Settings
    ) -> tf_keras.Model:
        """The first network of a float32 search that is no slower in int8 than one of these widths.

        Raises:
            UserError: there is none.
        """
        tflite = self._path(seed, _START, "tflite").read_bytes()
        deployed = DeployedNetwork(tflite, find_channels(start).groups)
        limit = deployed.resized(widths)
        iterations = self._run_dir(seed, "float32") / "iterations"
        tried = 0
        for percent in range(self._problem.percent, 0, -_PERCENT_STEP):
            last = self._searched(seed, "float32", percent, start, datasets, settings).summary["iterations"]
            with HostMeter(parse_target(self._problem.target)) as meter:
                for number in range(tried, last + 1):
                    found = json.loads((iterations / f"{number:03d}" / "widths.json").read_text())
                    ratio = meter.compare(Pair(limit, deployed.resized(found))).ratio
                    logging.info("Iteration %d of the float32 search: %.3f of the int8 search's.", number, ratio)
                    if ratio <= 1:
                        return load_network(iterations / f"{number:03d}" / "network.keras")
            tried = last + 1
        raise UserError("no network of the float32 search is as fast in int8 as that of the int8 search")

    def _add(self, seed: int, row: str, network: tf_keras.Model, datasets: Datasets, settings: Settings) -> None:
        """Rounds and tests a row's network, unless it is finished."""
        if self._has(seed, row):
            return
        images = calibration_images(datasets.train, settings.calibration_images)
        rounded = convert(network, "int8", images)
        aware = trained_quantization_aware(
            network,
            classification(network),
            datasets.long_term,
            seed + 2,
            settings.quantization_aware_epochs,
            settings.short_term_learning_rate,
        )
        files = {"float32": convert(network), "int8": rounded, "int8_aware": convert(aware, "int8")}
        if row == _START:
            self._path(seed, row, "tflite").write_bytes(rounded)
        accuracies = {}
        for kind, tflite in files.items():
            right = np.concatenate(
                [runtime.outputs(tflite, images.numpy()).argmax(-1) == labels for images, labels in datasets.test]
            )  # [N]
            np.save(self._right_path(seed, row, kind), right)
            accuracies[kind] = float(right.mean())
        widths = json.dumps(dict(find_channels(network).widths))
        self._rows.add({"seed": seed, "row": row, "widths": widths, **accuracies})
        logging.info("Seed %d, %s: %s.", seed, row, accuracies)

    def _has(self, seed: int, row: str) -> bool:
        return any((each["seed"], each["row"]) == (str(seed), row) for each in self._rows.rows)

    def _right(self, seed: int, row: str, kind: str) -> np.ndarray:
        """Which test images a row's network has right, bool [N]."""
        return np.load(self._right_path(seed, row, kind))

    def _right_path(self, seed: int, row: str, kind: str) -> Path:
        return self._folder / f"{seed}_{row.replace(' ', '_')}_{kind}.right.npy"

    def _run_dir(self, seed: int, precision: str) -> Path:
        return self._folder / f"seed_{seed}" / precision

    def _path(self, seed: int, row: str, suffix: str) -> Path:
        return self._folder / f"seed_{seed}" / f"{row.replace(' ', '_')}.{suffix}"
