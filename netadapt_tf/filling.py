"""Filling a latency table ahead, with every layer that a search of a network can ask for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.covering import covering
from netadapt_tf.resources.grid import GridLayer, layer_grid
from netadapt_tf.resources.latency import Latency
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.start import Start, start_of
from netadapt_tf.training.calibration import noise
from tflite_bench.convert import convert
from tflite_bench.drift import reference_reading
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.precision import check_runs
from tflite_bench.table_filling import PASSES
from tflite_bench.target import Target
from tflite_bench.timing import Job, Meter

_PROBES = 3
_REFERENCE_SHARE = 1.25  # the reference network takes its turns between the layers


@dataclass(frozen=True)
class FillingPlan:
    """What is to be measured.

    Attributes:
        layers: every layer of the grid, by signature.
        missing: those that the table lacks.
        networks: widths of the networks that hold them, where whole networks are profiled; else empty.
        seconds: about how long they will take, if no batch is repeated.
    """

    layers: Mapping[str, GridLayer]
    missing: Sequence[str]
    networks: Sequence[Widths]
    seconds: float


class Filling:
    """One network, one target, one table."""

    def __init__(
        self,
        network: tf_keras.Model,
        target: Target,
        meter: Meter,
        table: Path,
        filter_multiple: int,
        precision: str = "float32",
        again_flagged: bool = False,
    ) -> None:
        """Converts the network and opens the table.

        Args:
            network: a `tf_keras` functional model; its weights do not matter, and are lost.
            target: where `meter` measures.
            meter: the way to measure.
            table: file of the latency table.
            filter_multiple: see `search.filter_counts.candidate_filters`; a search should use the same, or a multiple.
            precision: of the networks that will be searched with the table; see `tflite_bench.precision`.
            again_flagged: measure again what was measured while the device drifted.

        Raises:
            UserError: nothing of the network can shrink, or it cannot be converted.
        """
        check_runs(precision, [target])
        randomise(network)
        self._start = start_of(network, find_channels(network), convert(network, precision, noise(network)))
        self._candidates = _candidates(self._start, filter_multiple)
        self._meter = meter
        self._target = target
        self._profiles_layers = target.profiles_layers
        self._latency = Latency(self._start.deployed, self._start.widths, target, meter, table, again_flagged)

    def plan(self) -> FillingPlan:
        """Lists what is to be measured, and measures a little of it to tell how long that will take.

        Raises:
            UserError: nothing can be measured on the target.
        """
        layers = layer_grid(self._latency.network, self._start.widths, self._candidates)
        missing = [signature for signature in layers if signature not in self._latency.table]
        networks = self._networks(layers, missing) if self._profiles_layers else []
        models = len(networks) if self._profiles_layers else len(missing)
        one_s = self._seconds_of_one() if missing else 0.0
        seconds = one_s * PASSES * models * _REFERENCE_SHARE / self._meter.procedure.places
        return FillingPlan(layers, missing, networks, seconds)

    def run(self, plan: FillingPlan) -> set[str]:
        """Measures what is missing, keeping each reading; returns the signatures that could not be measured."""
        return self._latency.prepare_layers(
            {signature: plan.layers[signature].layer for signature in plan.missing}, lambda _: plan.networks
        )

    def _networks(self, layers: Mapping[str, GridLayer], missing: Sequence[str]) -> list[dict[str, int]]:
        return covering(self._start.widths, [layers[signature].widths for signature in missing])

    def _seconds_of_one(self) -> float:
        """How long it takes to measure one model in one pass: the starting network, or a model of one layer."""
        begin = time.monotonic()
        if not self._profiles_layers:
            for _ in range(_PROBES):
                reference_reading(self._meter)
            return (time.monotonic() - begin) / _PROBES
        [(_, answer)] = self._meter.time_all([Job(self._start.tflite, loads=1)])
        if isinstance(answer, MeasurementError):
            raise UserError(f"the network cannot be measured on {self._target}: {answer}") from answer
        return time.monotonic() - begin


def _candidates(start: Start, filter_multiple: int) -> dict[str, list[int]]:
    """All numbers of filters that a search may give each group, its own last."""
    return {
        name: [*candidate_filters(filters, filters, filter_multiple), filters] for name, filters in start.widths.items()
    }
