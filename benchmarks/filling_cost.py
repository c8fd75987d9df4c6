"""What filling a latency table costs besides loading models and timing them, and how much a search asks for."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import tf_keras

from benchmarks.one_layer_models import random_widths
from benchmarks.timed_worker import LOG
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.iterate import relative_to
from netadapt_tf.search.proposals import propose
from netadapt_tf.settings import Settings
from tflite_bench.convert import convert
from tflite_bench.drift import reference_reading
from tflite_bench.errors import UserError
from tflite_bench.host import HostMeter
from tflite_bench.target import parse_target

_TARGET = parse_target("host/cpu:1")


@dataclass(frozen=True)
class Filled:
    """A table filled from nothing.

    Attributes:
        entries: in the table.
        readings: how many models were loaded and timed for them, the reference network's included.
        wall_s: seconds in all.
        timed_s: of which models were loaded and timed.
    """

    entries: int
    readings: int
    wall_s: float
    timed_s: float

    @property
    def other_ms(self) -> float:
        """What an entry costs besides, in milliseconds."""
        return 1000 * (self.wall_s - self.timed_s) / self.entries

    def __str__(self) -> str:
        return (
            f"{self.entries} entries in {self.wall_s:.0f} s: {self.readings / self.entries:.1f} readings each, "
            f"{1000 * self.timed_s / self.entries:.0f} ms of loading and timing each, {self.other_ms:.1f} ms besides"
        )


@dataclass(frozen=True)
class Asked:
    """A search without training.

    Attributes:
        iterations: it took.
        filled: its table.
    """

    iterations: int
    filled: Filled


def filled_at_random(network: tf_keras.Model, shapes: int, seed: int) -> Filled:
    """Fills a table with all layers of a network at random widths."""
    channels = find_channels(network)
    generator = np.random.default_rng(seed)
    with _latency(network) as (latency, log):
        begin = time.monotonic()
        latency.prepare([random_widths(channels.widths, generator) for _ in range(shapes)])
        return _filled(latency, time.monotonic() - begin, log)


def asked_for(network: tf_keras.Model, percent: int, seed: int) -> Asked:
    """Fills a table with what a search asks for that picks its proposals at random, since it trains nothing.

    Args:
        network: the starting network.
        percent: of its latency, the budget.
        seed: of the picks.

    Raises:
        UserError: the budget is out of reach.
    """
    settings, generator = Settings(), np.random.default_rng(seed)
    widths = start = dict(find_channels(network).widths)
    iteration, measuring_s = 0, 0.0
    with _latency(network) as (latency, log):
        begin = time.monotonic()
        whole = latency.measure(start).start
        cost = Measurement(whole, whole)
        goal = Goal("latency", latency, percent / 100 * whole)
        while not goal.is_met(cost):
            iteration += 1
            constraint = settings.schedule.constraint(iteration, cost.start, cost.value, goal.limit)
            proposed = propose(widths, start, [goal], goal, {goal.name: cost}, constraint, settings.filter_multiple)
            if not proposed.proposals:
                raise UserError(f"{percent} % is out of reach; the search ends at {cost.value / whole:.0%}")
            picked = proposed.proposals[generator.integers(len(proposed.proposals))]
            widths = {**widths, picked.group: picked.filters}
            before = time.monotonic()
            cost = relative_to(whole, latency.measure(widths))
            measuring_s += time.monotonic() - before
        return Asked(iteration, _filled(latency, time.monotonic() - begin - measuring_s, log))


@contextmanager
def _latency(network: tf_keras.Model) -> Iterator[tuple[Latency, Path]]:
    """Latency with an empty table, and the file that says how long models were loaded and timed."""
    channels = find_channels(network)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "seconds"
        with (
            mock.patch.dict("os.environ", {LOG: str(log)}),
            HostMeter(_TARGET, worker_module="benchmarks.timed_worker") as meter,
        ):
            reference_reading(meter)  # the process that measures is started once, whatever the number of entries
            log.write_text("")
            deployed = DeployedNetwork(convert(network), channels.groups)
            yield Latency(deployed, channels.widths, _TARGET, meter, Path(folder) / "table.sqlite"), log


def _filled(latency: Latency, wall_s: float, log: Path) -> Filled:
    timed_s = [float(line) for line in log.read_text().split()]
    return Filled(len(latency.table), len(timed_s), wall_s, sum(timed_s))
