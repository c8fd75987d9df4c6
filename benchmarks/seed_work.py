"""What trains and tests the rows of one seed: its data, its starting network, its searches."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tf_keras

from benchmarks import comparison_plan as kinds
from benchmarks.compared_rows import Cell, ComparedRow, ComparedRows
from benchmarks.comparison_plan import AT_LARGER_RATE, DOUBLED, LARGER_RATE, WHOLE
from benchmarks.comparison_problem import Problem
from benchmarks.comparison_regularised import regularised
from benchmarks.comparison_searches import ANSWERS_SHARE, Found, Searches
from benchmarks.multipliers import Shapes
from benchmarks.processor_time import counted, minutes
from benchmarks.uniform import shrunk_by_l2
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.settings import Settings
from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.datasets import Datasets, Shuffled, steps_per_epoch
from netadapt_tf.training.image_dataset import load_image_dataset
from netadapt_tf.training.stages import train
from netadapt_tf.training.task import classification
from netadapt_tf.training.teacher import Teacher
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.whole_file import write_whole

_BATCH_SIZE = 128


class Effort(NamedTuple):
    """Training steps, answers counted by their work, and minutes of the processor."""

    steps: int
    minutes: float


class SeedWork:
    """What the rows of one seed have in common.

    Attributes:
        seed: of everything.
    """

    def __init__(self, problem: Problem, seed: int, rows: ComparedRows, shapes: Shapes, table: str | None) -> None:
        """Reads the data."""
        self.seed = seed
        self._problem = problem
        self._settings: Settings = replace(problem.settings, seed=seed)
        self._rows = rows
        self._scratch = rows.scratch(seed)
        self._table = table
        images = load_image_dataset(
            problem.dataset, problem.resolution, problem.holdout_images, problem.train_images, seed
        )
        self._datasets: Datasets = images.datasets(_BATCH_SIZE, "tf")
        batches = [(pixels.numpy(), labels.numpy()) for pixels, labels in self._datasets.test]
        self._test_images, self._test_labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        self._shapes = shapes
        self._start_steps = self._settings.pretrain_epochs * steps_per_epoch(self._datasets.train)
        self._long_steps = self._settings.long_term_epochs * steps_per_epoch(self._datasets.long_term)

    def row(self, cell: Cell) -> ComparedRow:
        """Trains and tests one row's network."""
        kind = cell.kind.removesuffix(DOUBLED).removesuffix(AT_LARGER_RATE)
        times = 2 if cell.kind.endswith(DOUBLED) or kind == kinds.LONGER else 1
        trainings: dict[str, Callable[[Cell, int], ComparedRow]] = {
            kinds.START: self._started,
            **dict.fromkeys((kinds.NETADAPT, kinds.LONGER), partial(self._fine_tuned, self._by_latency)),
            kinds.BY_MACS: partial(self._fine_tuned, self._by_macs),
            kinds.REGULARISED: partial(self._fine_tuned, self._regularised),
            kinds.REGULARISED_AGAIN: partial(self._fine_tuned, partial(self._regularised, again=True)),
            kinds.UNIFORM: partial(self._fine_tuned, self._uniform),
            kinds.UNTAUGHT: partial(self._fine_tuned, self._by_latency, is_taught=False),
            kinds.MULTIPLIER: partial(self._multiplier, whole=False),
            kinds.MULTIPLIER_WHOLE: partial(self._multiplier, whole=True),
            kinds.MULTIPLIER_TAUGHT: self._taught_multiplier,
            kinds.RETRAINED: partial(self._retrained, whole=False),
            kinds.RETRAINED_WHOLE: partial(self._retrained, whole=True),
            **{
                kind: partial(self._fine_tuned, partial(self._searched_otherwise, kind))
                for kind in kinds.SEARCHED_OTHERWISE
            },
            **{
                kind: partial(self._fine_tuned, partial(self._cut_at_once, finder))
                for kind, finder in kinds.CUT_AT_ONCE.items()
            },
        }
        return trainings[kind](cell, times)

    def _started(self, cell: Cell, times: int) -> ComparedRow:
        if times == 1:
            return self._tested(cell, self._start(), Effort(self._start_steps, self._start_minutes()), Effort(0, 0.0))
        network = self._shapes.fresh(self._shapes.start, self.seed)
        trained = self._train(cell, network, self._datasets.train, times * self._start_steps)
        return self._tested(cell, network, trained, Effort(0, 0.0))

    def _fine_tuned(
        self, found_for: Callable[[int], Found], cell: Cell, times: int, is_taught: bool = True
    ) -> ComparedRow:
        """A network that comes of the starting network, after the long-term fine-tune."""
        found, steps = found_for(cell.percent), times * self._long_steps
        trained = self._train(
            cell, found.network, self._datasets.long_term, steps, self._teacher() if is_taught else None
        )
        before = Effort(self._start_steps + found.steps, self._start_minutes() + found.minutes)
        return self._tested(cell, found.network, trained, before)

    def _multiplier(self, cell: Cell, times: int, whole: bool) -> ComparedRow:
        """The width multiplier from fresh weights: as usual, or for as much work as NetAdapt's network took in all."""
        steps = self._netadapt(cell).all_steps if whole else self._start_steps + self._long_steps
        network = self._shapes.fresh(self._shapes.multiplier(cell.percent), self.seed)
        trained = self._train(cell, network, self._datasets.long_term, times * steps)
        return self._tested(cell, network, trained, Effort(0, 0.0))

    def _taught_multiplier(self, cell: Cell, times: int) -> ComparedRow:
        """The same for the whole compute, of which training the teacher is a part."""
        steps = (self._netadapt(cell).all_steps - self._start_steps) / (1 + ANSWERS_SHARE)
        network = self._shapes.fresh(self._shapes.multiplier(cell.percent), self.seed)
        trained = self._train(cell, network, self._datasets.long_term, times * steps, self._teacher())
        return self._tested(cell, network, trained, Effort(self._start_steps, self._start_minutes()))

    def _retrained(self, cell: Cell, times: int, whole: bool) -> ComparedRow:
        """NetAdapt's shape from fresh weights, taught; what it took to find comes on top."""
        netadapt = self._netadapt(cell)
        steps = netadapt.all_steps / (1 + ANSWERS_SHARE) if whole else self._start_steps + self._long_steps
        network = self._shapes.fresh(netadapt.widths, self.seed)
        trained = self._train(cell, network, self._datasets.long_term, times * steps, self._teacher())
        return self._tested(cell, network, trained, Effort(netadapt.steps_before, netadapt.minutes_before))

    def _netadapt(self, cell: Cell) -> ComparedRow:
        """NetAdapt's row at the same budget and rate; at the starting network's widths, that at the lowest budget."""
        percent = self._problem.percents[-1] if cell.percent == WHOLE else cell.percent
        return self._needed(kinds.NETADAPT + (AT_LARGER_RATE if _is_at_larger_rate(cell) else ""), percent)

    def _needed(self, kind: str, percent: int) -> ComparedRow:
        """A row that another one needs; it is done now where it was not asked for."""
        cell = Cell(self.seed, percent, kind)
        row = self._rows.get(cell)
        if row is None:
            row = self.row(cell)
            self._rows.add(row)
        return row

    def _by_latency(self, percent: int) -> Found:
        return self._searches().by_latency(self._problem.percents, percent)

    def _searched_otherwise(self, kind: str, percent: int) -> Found:
        settings = replace(self._settings, **kinds.SEARCHED_OTHERWISE[kind])
        return self._searches(settings).by_latency(self._problem.percents, percent, kind)

    def _by_macs(self, percent: int) -> Found:
        return self._searches().by_macs(percent)

    def _regularised(self, percent: int, again: bool = False) -> Found:
        self._shapes.check_machine()
        return regularised(
            self._scratch / "again" if again else self._scratch,
            self._start(),
            self._datasets,
            self._settings,
            self._problem.measured_on,
            self._table,
            self._problem.percents,
            percent,
        )

    def _uniform(self, percent: int) -> Found:
        widths = self._shapes.multiplier(percent)
        return Found(shrunk_by_l2(self._start(), widths), widths, 0, 0.0)

    def _cut_at_once(self, finder: str, percent: int) -> Found:
        """The shape of another row; what it took to find counts."""
        row = self._needed(finder, percent)
        steps, spent = row.steps_before - self._start_steps, row.minutes_before - self._start_minutes()
        return Found(shrunk_by_l2(self._start(), row.widths), row.widths, steps, spent)

    def _searches(self, settings: Settings | None = None) -> Searches:
        self._shapes.check_machine()
        return Searches(
            self._scratch,
            self._start(),
            self._datasets,
            settings or self._settings,
            self._problem.measured_on,
            self._problem.holdout_images / _BATCH_SIZE,
            self._table,
        )

    def _start(self) -> tf_keras.Model:
        """The pre-trained network; trained where it is not kept."""
        path = self._scratch / "start.keras"
        if not path.exists():
            network = self._shapes.fresh(self._shapes.start, self.seed)
            self._train(self._start_cell, network, self._datasets.train, self._start_steps)
            save_network(network, path)
        return load_network(path)

    def _start_minutes(self) -> float:
        self._start()
        return minutes(self._clock(self._start_cell))

    @property
    def _start_cell(self) -> Cell:
        return Cell(self.seed, WHOLE, kinds.START)

    def _clock(self, cell: Cell) -> Path:
        return self._scratch / f"{cell.kind} {cell.percent}.minutes"

    def _teacher(self) -> Teacher:
        return Teacher(self._start(), self._settings.distillation)

    def _train(
        self, cell: Cell, network: tf_keras.Model, dataset: Shuffled, steps: float, teacher: Teacher | None = None
    ) -> Effort:
        """Trains in place, from a checkpoint where there is one; a teacher's answers count by their work."""
        name = f"{cell.kind} {cell.percent}"
        path = self._scratch / f"{name}.checkpoint.npz"
        checkpoint = Checkpoint(path, partial(write_whole, path))
        epochs = round(steps / steps_per_epoch(dataset))
        task, rate = classification(network), self._rate(cell)
        with counted(self._clock(cell)):
            train(network, task, dataset, self.seed + 1, epochs, rate, name, checkpoint, teacher=teacher)
        checkpoint.discard()
        work = epochs * steps_per_epoch(dataset) * (1 + ANSWERS_SHARE if teacher else 1)
        return Effort(round(work), minutes(self._clock(cell)))

    def _rate(self, cell: Cell) -> float:
        """The learning rate that a row's last training begins at."""
        if _is_at_larger_rate(cell):
            return LARGER_RATE
        is_start = cell.kind.removesuffix(DOUBLED) == kinds.START
        return self._settings.pretrain_learning_rate if is_start else self._settings.long_term_learning_rate

    def _tested(self, cell: Cell, network: tf_keras.Model, trained: Effort, before: Effort) -> ComparedRow:
        right = runtime.outputs(convert(network), self._test_images).argmax(-1) == self._test_labels
        widths: Widths = find_channels(network).widths
        return ComparedRow(cell, widths, right, trained.steps, before.steps, trained.minutes, before.minutes)


def _is_at_larger_rate(cell: Cell) -> bool:
    return cell.kind.endswith(AT_LARGER_RATE)
