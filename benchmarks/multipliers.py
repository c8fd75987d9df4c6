"""The shapes of a comparison that nobody searches for: the starting network's, and those of width multipliers."""

import fcntl
import hashlib
import json
import math
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import tf_keras
from absl import logging

from benchmarks.comparison_plan import WHOLE
from benchmarks.comparison_points import LATENCIES, Timed, read_latencies
from benchmarks.comparison_problem import Problem
from benchmarks.uniform import widest_within
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.resources.surprise import settled
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.timing import Pair
from tflite_bench.whole_file import write_whole

_MULTIPLIERS = "multipliers.json"
_MOST_OFF = 0.1  # of a network's latency over the starting network's; on one machine readings ranged by up to 7 %
_PAUSES_S = (10.0, 30.0)


class Shapes:
    """The shapes of one problem, the same for all seeds; what was measured to find them is not measured again."""

    def __init__(self, problem: Problem, classes: int, folder: Path) -> None:
        """Takes the problem.

        Args:
            problem: what is compared.
            classes: of its data set.
            folder: where the multipliers' widths are kept.
        """
        self._problem = problem
        self._classes = classes
        self._folder = folder
        self._is_checked = False

    @property
    def start(self) -> dict[str, int]:
        """Widths of the starting network."""
        return NETWORKS[self._problem.network].widths(self._problem.alpha)

    def fresh(self, widths: Widths, seed: int) -> tf_keras.Model:
        """A network of these widths and of fresh weights."""
        tf_keras.utils.set_random_seed(seed)
        return NETWORKS[self._problem.network].build(widths, self._problem.resolution, self._classes)

    def timed(self, widths: Widths) -> bytes:
        """A `.tflite` of these widths, to be timed: no converter can simplify its weights. It is kept."""
        digest = hashlib.sha256(json.dumps(dict(widths)).encode()).hexdigest()[:16]
        path = self._folder / "timed" / f"{digest}.tflite"
        if not path.exists():
            network = self.fresh(widths, 0)
            randomise(network)
            path.parent.mkdir(exist_ok=True)
            write_whole(path, convert(network))
        return path.read_bytes()

    def latencies(self, shapes: Iterable[str], measurings: int) -> dict[str, Timed]:
        """Latency of shapes over the starting network's, all networks built from their widths and timed in turn.

        Where the starting network is slower than it was before, a shape is timed again, as a search does.

        Args:
            shapes: widths as JSON.
            measurings: how often.
        """
        files = {shape: self.timed(json.loads(shape)) for shape in sorted(shapes)}
        start = self.timed(self.start)
        ratios: dict[str, list[float]] = {shape: [] for shape in files}
        usual_start_ms = math.inf
        with HostMeter(self._problem.measured_on) as meter:

            def measured(tflite: bytes) -> Measurement:
                compared = meter.compare(Pair(start, tflite))
                return Measurement(compared.first_ms, compared.ratio * compared.first_ms)

            for number in range(measurings):
                logging.info("Timing %d shapes, %d of %d.", len(files), number + 1, measurings)
                for shape, tflite in files.items():
                    cost = settled(partial(measured, tflite), None, usual_start_ms, "A shape")
                    usual_start_ms = min(usual_start_ms, cost.start)
                    ratios[shape].append(cost.value / cost.start)
        return {shape: Timed(float(np.median(of)), float(np.ptp(of))) for shape, of in ratios.items()}

    def check_machine(self) -> None:
        """Sees that the fastest network takes what it took where the folder's latencies come from; it does so once.

        Rows that are chosen by latency on machines that differ are not within the same budgets. A machine that seems
        another is looked at again, twice, after pauses: it may have been disturbed.

        Raises:
            UserError: it does not.
        """
        known = read_latencies(self._folder / LATENCIES)
        if self._is_checked or not known:
            return
        shape = min(known, key=lambda one: known[one].ratio)
        there = known[shape].ratio
        for pause_s in (*_PAUSES_S, None):
            ratio = self.latencies([shape], 3)[shape].ratio
            if abs(ratio / there - 1) <= _MOST_OFF:
                break
            if pause_s:
                logging.info(
                    "A network that took %.1f %% takes %.1f %%; is the machine busy?", 100 * there, 100 * ratio
                )
                time.sleep(pause_s)
        else:
            raise UserError(
                f"a network of {self._folder} that took {there:.1%} of the starting network's latency takes "
                f"{ratio:.1%} on this machine: go on with the one that the rows are from, or name another folder with "
                "--output; rows that are not chosen by latency can be trained anywhere, with --measurings=0"
            )
        self._is_checked = True

    def multiplier(self, percent: int) -> dict[str, int]:
        """Widths of the widest width multiplier that is measured to be within a budget.

        Raises:
            UserError: there is none, or this is another machine.
        """
        if percent == WHOLE:
            return self.start
        with open(self._folder / _MULTIPLIERS, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            kept = json.loads(file.read() or "{}")
            if str(percent) not in kept:
                self.check_machine()
                kept[str(percent)] = self._widest_within(percent)
                file.truncate(0)
                file.write(json.dumps(kept, indent=2) + "\n")
        return kept[str(percent)]

    def _widest_within(self, percent: int) -> dict[str, int]:
        start = self.timed(self.start)
        deployed = DeployedNetwork(start, find_channels(self.fresh(self.start, 0)).groups)
        with HostMeter(self._problem.measured_on) as meter:

            def is_within(widths: Widths) -> bool:
                ratio = meter.compare(Pair(start, deployed.resized(widths))).ratio
                logging.info("A width multiplier takes %.1f %% of the latency.", 100 * ratio)
                return ratio <= percent / 100

            widths = widest_within(self.start, self._problem.settings.filter_multiple, is_within)
        if widths is None:
            raise UserError(f"no width multiplier takes {percent} % of the starting network's latency")
        return widths
