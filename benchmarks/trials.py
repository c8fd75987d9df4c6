"""Networks drawn at random, their sums by the table and their times, measured whole."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.accuracy import Trial
from benchmarks.configuration import PLAIN, UNNAMED, Configuration, network_of, precision_of
from benchmarks.networks import converted
from benchmarks.rows import RowFile
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.search.filter_counts import candidate_filters
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.progress import progress
from tflite_bench.target import Target
from tflite_bench.timing import Comparison, Meter, Pair

_FILTER_MULTIPLE = 8
_MAX_LOADS = 2 * Pair.max_loads
_MAX_TRIES = 3
_MAX_DISTURBANCE = 0.05
_KEY = ("target", "seed", "configuration", "number", "widths", "group", "filters")
_MEASURED = tuple(field.name for field in dataclasses.fields(Trial) if field.name != "configuration")


class WholeNetworks:
    """Measures networks whole, in turn with the starting network; again where something else was running.

    A comparison in which the starting network is slower than in the quickest so far, by more than 5 %, was disturbed.
    It is repeated, up to three times; the one with the quickest start counts.
    """

    def __init__(self, meter: Meter, network: DeployedNetwork, start: Widths, seconds: float) -> None:
        """Takes what stays the same.

        Args:
            meter: the way to measure.
            network: the starting network.
            start: its widths.
            seconds: how long a comparison takes.
        """
        self._meter = meter
        self._network = network
        self._start = network.resized(start)
        self._seconds = seconds
        self._quickest_ms = math.inf

    def compare(self, widths: Widths) -> Comparison:
        """Times the network at these widths against the starting network.

        Raises:
            UserError: it cannot be measured.
        """
        pair = Pair(self._start, self._network.resized(widths), _MAX_LOADS, total_ms=1e3 * self._seconds)
        tries: list[Comparison] = []
        while len(tries) < _MAX_TRIES:
            try:
                tries.append(self._meter.compare(pair))
            except MeasurementError as error:
                raise UserError(f"a network cannot be measured whole: {error}") from error
            self._quickest_ms = min(self._quickest_ms, tries[-1].first_ms)
            if tries[-1].first_ms <= (1 + _MAX_DISTURBANCE) * self._quickest_ms:
                break
        return min(tries, key=lambda comparison: comparison.first_ms)


class TrialFile:
    """The finished trials of one target, seed, network and precision, in a CSV file that may hold others'."""

    def __init__(self, path: Path, target: str, seed: int, network: str = UNNAMED, precision: str = PLAIN) -> None:
        """Opens the file, or makes it.

        Raises:
            UserError: the file holds something else, or cannot be written.
        """
        self._file = RowFile(path, _KEY + _MEASURED)
        self.target = target
        self.seed = seed
        self.network = network
        self.precision = precision

    @property
    def trials(self) -> list[Trial]:
        """All of them, in the order in which they were measured."""
        return [
            Trial(row["configuration"], **{name: float(row[name]) for name in _MEASURED})
            for row in self._file.rows
            if (row["target"], row["seed"]) == (self.target, str(self.seed))
            and network_of(row["configuration"]) == self.network
            and precision_of(row["configuration"]) == self.precision
        ]

    def __contains__(self, key: tuple[str, int]) -> bool:
        wanted = (self.target, str(self.seed), key[0], str(key[1]))
        return any(
            (row["target"], row["seed"], row["configuration"], row["number"]) == wanted for row in self._file.rows
        )

    def add(self, number: int, widths: Widths, group: str, filters: int, trial: Trial) -> None:
        """Keeps a finished trial."""
        key = {"target": self.target, "seed": self.seed, "number": number, "group": group, "filters": filters}
        self._file.add(key | {"widths": "-".join(map(str, widths.values()))} | dataclasses.asdict(trial))


def random_widths(start: Widths, generator: np.random.Generator) -> dict[str, int]:
    """Widths drawn from what a search may choose, the starting network's own included."""
    return {
        name: int(generator.choice([*candidate_filters(filters, filters, _FILTER_MULTIPLE), filters]))
        for name, filters in start.items()
    }


def random_cut(start: Widths, widths: Widths, generator: np.random.Generator) -> tuple[str, int]:
    """A channel group, of those that can be cut further, and the number of filters it is cut to.

    Raises:
        UserError: nothing can be cut.
    """
    candidates = {name: candidate_filters(start[name], widths[name], _FILTER_MULTIPLE) for name in widths}
    groups = [name for name, counts in candidates.items() if counts]
    if not groups:
        raise UserError("these widths are the narrowest there are: draw others with --seed")
    group = str(generator.choice(groups))
    return group, int(generator.choice(candidates[group]))


def trial_network(
    configuration: Configuration, number_of_widths: int, seed: int
) -> tuple[DeployedNetwork, Widths, list[Widths]]:
    """A converted starting network, its widths, and these with the random ones."""
    start = configuration.named.widths(configuration.alpha)
    generators = (_generator(seed, configuration, number) for number in range(number_of_widths))
    widths: list[Widths] = [start, *(random_widths(start, generator) for generator in generators)]
    return _converted(configuration), start, widths


def measure_trials(
    file: TrialFile,
    configurations: Sequence[Configuration],
    number_of_widths: int,
    seconds: float,
    meter: Meter,
    target: Target,
    table: Path,
) -> None:
    """Measures what the file does not hold yet, row by row.

    Args:
        file: where finished rows go.
        configurations: the starting networks.
        number_of_widths: how many random widths of each.
        seconds: how long each network is measured whole.
        meter: the way to measure.
        target: where it measures.
        table: the latency table's file.

    Raises:
        UserError: a layer, or a whole network, cannot be measured.
    """
    missing = [
        (configuration, number)
        for configuration in configurations
        for number in range(number_of_widths)
        if (str(configuration), number) not in file
    ]
    with progress("measuring networks", len(missing)) as bar:
        for configuration in dict.fromkeys(configuration for configuration, _ in missing):
            start = configuration.named.widths(configuration.alpha)
            network = _converted(configuration)
            latency = Latency(network, start, target, meter, table)
            whole_networks = WholeNetworks(meter, network, start, seconds)
            for number in (number for which, number in missing if which == configuration):
                generator = _generator(file.seed, configuration, number)
                widths = random_widths(start, generator)
                group, filters = random_cut(start, widths, generator)
                step = widths | {group: filters}
                latency.prepare([start, widths, step])
                whole, cut = whole_networks.compare(widths), whole_networks.compare(step)
                sums_ms = [latency.predict(which) for which in (start, widths, step)]
                if not all(map(math.isfinite, sums_ms)):
                    raise UserError("a layer cannot be measured; the warnings above name it")
                trial = Trial(str(configuration), whole.first_ms, whole.ratio, cut.ratio, *sums_ms)
                file.add(number, widths, group, filters, trial)
                bar.update(1)


def _converted(configuration: Configuration) -> DeployedNetwork:
    start = configuration.named.widths(configuration.alpha)
    return converted(configuration.named, start, configuration.resolution, configuration.precision)


def _generator(seed: int, configuration: Configuration, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, round(1e6 * configuration.alpha), configuration.resolution, number])
