"""The rows of `accuracy_vs_latency`: which are missing, who trains them, what all come to."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from absl import logging

from benchmarks.claimed_folder import claim
from benchmarks.compared_rows import Cell, ComparedRows
from benchmarks.comparison_plan import plan
from benchmarks.comparison_points import LATENCIES, Point, points_of, read_latencies, shape_of, write_latencies
from benchmarks.comparison_problem import Problem
from benchmarks.multipliers import Shapes
from benchmarks.seed_work import SeedWork
from netadapt_tf.training.image_dataset import find_images

_POLL_S = 10.0


class Comparison:
    """One problem, one output folder; several processes may work at it, each at another seed."""

    def __init__(self, problem: Problem, folder: Path, table: str | None = None) -> None:
        """Opens the folder.

        Args:
            problem: what is compared.
            folder: of rows.
            table: file of the latency table; by default one in the user's cache folder.

        Raises:
            UserError: the folder belongs to another problem, or cannot be written.
        """
        claim(folder, asdict(problem))
        self._problem = problem
        self._folder = folder
        self._table = table
        self.rows = ComparedRows(folder)
        self._seed_work: SeedWork | None = None
        self._shapes = Shapes(problem, find_images(problem.dataset).classes, folder)

    def check_machine(self) -> None:
        """Sees that latency can be measured here; see `Shapes.check_machine`.

        Raises:
            UserError: it cannot.
        """
        self._shapes.check_machine()

    def train_missing_rows(self, seeds: Sequence[int], wanted: Sequence[str], doubled: bool) -> None:
        """Trains and tests what the folder does not hold yet; waits for rows that another process is at.

        Args:
            seeds: of the rows.
            wanted: kinds of rows.
            doubled: whether some are trained twice as long besides.
        """
        cells = plan(seeds, self._problem.percents, wanted, doubled)
        while missing := [cell for cell in cells if cell not in self.rows.cells(cell.seed)]:
            if not any(self._train_if_free(cell) for cell in missing):
                time.sleep(_POLL_S)

    def points(self, measurings: int) -> dict[tuple[str, int], Point]:
        """What all finished rows come to.

        Args:
            measurings: how often all shapes are timed, in turn with the starting network; 0 keeps the latencies of the
                last time.
        """
        rows, path = self.rows.all_rows(), self._folder / LATENCIES
        if measurings:
            write_latencies(path, self._shapes.latencies({shape_of(row) for row in rows}, measurings))
        return points_of(rows, read_latencies(path))

    def _train_if_free(self, cell: Cell) -> bool:
        with self.rows.claimed(cell.seed) as is_free:
            if is_free and cell not in self.rows.cells(cell.seed):
                logging.info("Seed %d, %d %%: %s.", *cell)
                row = self._work(cell.seed).row(cell)
                self.rows.add(row)
                logging.info("Seed %d, %d %%: %s: accuracy %.4f.", *cell, row.accuracy)
            return is_free

    def _work(self, seed: int) -> SeedWork:
        if self._seed_work is None or self._seed_work.seed != seed:
            self._seed_work = SeedWork(self._problem, seed, self.rows, self._shapes, self._table)
        return self._seed_work
