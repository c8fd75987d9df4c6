"""The rows of `last_stage_rates`: the last stage of adaptations, done again."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import tf_keras
from absl import logging

from benchmarks.paired import paired_difference
from benchmarks.rows import RowFile
from netadapt_tf.networks.files import load_network
from netadapt_tf.stored_request import read_config, request_of
from netadapt_tf.training.image_dataset import load_image_dataset
from netadapt_tf.training.stages import train
from netadapt_tf.training.task import classification
from netadapt_tf.training.teacher import Teacher
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.errors import UserError

_COLUMNS = ("run", "seed", "rate", "accuracy", "images")


class LastStages:
    """What long-term fine-tunes come to, in one output folder."""

    def __init__(self, folder: Path, test_dataset: str | None) -> None:
        """Reads the rows that are finished.

        Args:
            folder: of rows.
            test_dataset: whose test split is used; that of a run's data set where it is None.

        Raises:
            UserError: the folder cannot be written.
        """
        self._folder = folder
        self._rows = RowFile(folder / "rows.csv", _COLUMNS)
        self._run = lru_cache(maxsize=1)(lambda run_dir: _Run(run_dir, test_dataset))

    def do(self, run_dir: Path, seed: int, rate: float) -> None:
        """Trains and tests what the search of a run ended with, unless the row is finished.

        Args:
            run_dir: of `netadapt_tf.adapt`.
            seed: of the order of the training images.
            rate: the learning rate at the first step.
        """
        if any(
            (row["run"], row["seed"], float(row["rate"])) == (run_dir.name, str(seed), rate) for row in self._rows.rows
        ):
            return
        right = self._run(run_dir).fine_tuned_right(seed, rate)
        path = self._path(run_dir, seed, rate)
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.packbits(right))
        about = {"run": run_dir.name, "seed": seed, "rate": rate}
        self._rows.add({**about, "accuracy": float(right.mean()), "images": len(right)})
        logging.info("%s, seed %d, from a rate of %g: %.2f %%.", run_dir.name, seed, rate, 100 * right.mean())

    def compared(self, run_dirs: Sequence[Path], seeds: Sequence[int], rates: Sequence[float]) -> str:
        """What finished rows come to at each rate, all runs and seeds together, as text."""
        first, *others = [
            np.array([self._right(run_dir, seed, rate) for run_dir in run_dirs for seed in seeds]) for rate in rates
        ]  # [runs * seeds, N]
        lines = [f"{', '.join(run_dir.name for run_dir in run_dirs)}: from a rate of {rates[0]:g} {first.mean():.2%}"]
        for rate, right in zip(rates[1:], others, strict=True):
            lines.append(f"  from {rate:g} {right.mean():.2%}; points more: {paired_difference(right, first)}")
        return "\n".join(lines)

    def _right(self, run_dir: Path, seed: int, rate: float) -> np.ndarray:
        """Which test images a row's network has right, bool [N]."""
        packed = np.load(self._path(run_dir, seed, rate))
        images = next(int(row["images"]) for row in self._rows.rows if row["run"] == run_dir.name)
        return np.unpackbits(packed, count=images).astype(bool)

    def _path(self, run_dir: Path, seed: int, rate: float) -> Path:
        return self._folder / "right" / f"{run_dir.name}_{seed}_{rate:g}.npy"


class _Run:
    """A run's networks, data and settings, as its directory tells them."""

    def __init__(self, run_dir: Path, test_dataset: str | None) -> None:
        request = request_of(read_config(run_dir), run_dir, None, (), allow_lambda=False)
        self._settings = request.settings
        self._iterations = sorted((run_dir / "iterations").glob("[0-9]*/network.keras"))
        if len(self._iterations) < 2:
            raise UserError(f"{run_dir} holds no iteration of a search")
        self._start = load_network(self._iterations[0])
        resolution, seed = self._start.input_shape[1], request.settings.seed
        data = load_image_dataset(
            request.dataset, resolution, request.holdout_images, request.train_images, seed, request.augmentation
        )
        datasets = data.datasets(request.batch_size, request.preprocessing)
        self._images, self._test = datasets.long_term, datasets.test
        if test_dataset:
            tested = load_image_dataset(test_dataset, resolution, request.holdout_images, None, seed)
            self._test = tested.datasets(request.batch_size, request.preprocessing).test

    def fine_tuned_right(self, seed: int, rate: float) -> np.ndarray:
        """Which test images the search's last network has right after its long-term fine-tune, bool [N]."""
        network: tf_keras.Model = load_network(self._iterations[-1])
        settings, task, what = self._settings, classification(network), f"long-term fine-tune from {rate:g}"
        teacher = Teacher(self._start, settings.distillation) if settings.distillation else None
        train(network, task, self._images, seed, settings.long_term_epochs, rate, what, teacher=teacher)
        tflite = convert(network)
        return np.concatenate(
            [runtime.outputs(tflite, images.numpy()).argmax(-1) == labels.numpy() for images, labels in self._test]
        )
