"""Filling a latency table ahead, with every layer that a search of a network can ask for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tf_keras

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.resources.grid import alternating, layer_grid
from netadapt_tf.resources.latency import Latency
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.start import Start, shrinkable_groups, start_of
from tflite_bench.convert import convert
from tflite_bench.drift import reference_reading
from tflite_bench.graph import SizedOperator
from tflite_bench.table_filling import PASSES
from tflite_bench.target import Target
from tflite_bench.timing import Meter

_PROBES = 3
_REFERENCE_SHARE = 1.25  # the reference network takes its turns between the layers


@dataclass(frozen=True)
class FillingPlan:
    """What is to be measured.

    Attributes:
        layers: every layer of the grid, by signature.
        missing: how many of them the table lacks.
        seconds: about how long they will take.
    """

    layers: Mapping[str, SizedOperator]
    missing: int
    seconds: float


class Filling:
    """One network, one target, one table."""

    def __init__(
        self, network: tf_keras.Model, target: Target, meter: Meter, table: Path, filter_multiple: int
    ) -> None:
        """Converts the network and opens the table.

        Args:
            network: a `tf_keras` functional model; its weights do not matter, and are lost.
            target: where `meter` measures.
            meter: the way to measure.
            table: file of the latency table.
            filter_multiple: see `search.filter_counts.candidate_filters`; a search should use the same, or a multiple.

        Raises:
            UserError: nothing of the network can shrink, or it cannot be converted.
        """
        randomise(network)
        self._start = start_of(network, shrinkable_groups(network), convert(network))
        self._candidates = _candidates(self._start, filter_multiple)
        self._meter = meter
        self._is_profiled = target.profiles_layers
        self._latency = Latency(self._start.deployed, self._start.widths, target, meter, table)

    def plan(self) -> FillingPlan:
        """Counts what is to be measured, and times the reference network to tell how long that will take.

        Raises:
            UserError: nothing can be measured on the target.
        """
        layers = layer_grid(self._start.deployed, self._start.widths, self._candidates)
        missing = sum(signature not in self._latency.table for signature in layers)
        begin = time.monotonic()
        for _ in range(_PROBES if missing else 0):
            reference_reading(self._meter)
        probe_s = (time.monotonic() - begin) / _PROBES
        models = len(self._networks()) if self._is_profiled else missing
        return FillingPlan(layers, missing, probe_s * PASSES * models * _REFERENCE_SHARE)

    def run(self, plan: FillingPlan) -> set[str]:
        """Measures what is missing, keeping each reading; returns the signatures that could not be measured."""
        return self._latency.prepare_layers(plan.layers, self._networks())

    def _networks(self) -> Sequence[Widths]:
        return list(alternating(self._start.widths, self._candidates)) if self._is_profiled else []


def _candidates(start: Start, filter_multiple: int) -> dict[str, list[int]]:
    """All numbers of filters that a search may give each group, its own last."""
    return {
        name: [*candidate_filters(filters, filters, filter_multiple), filters] for name, filters in start.widths.items()
    }
