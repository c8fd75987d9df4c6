"""Latency layer by layer, by the table as it stands: what the dry run prints and the report is drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.resource import LatencyResource
from netadapt_tf.search.filter_counts import candidate_filters
from netadapt_tf.start import Start

_STAIRCASES = 6


@dataclass(frozen=True)
class LayerLatency:
    """One layer of a network.

    Attributes:
        name: of the Keras layer, or the position in the `.tflite` where none is known.
        kind: TensorFlow Lite's name of the operator.
        output_shape: [1, H, W, C] or [1, C].
        latency_ms: alone, from the table; infinite where it lacks the layer.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    latency_ms: float


def layer_latencies(start: Start, latency: LatencyResource, widths: Widths) -> list[LayerLatency]:
    """The layers of a network in order of execution; nothing is measured.

    Args:
        start: the starting network.
        latency: its latency on a target.
        widths: of the network.
    """
    known = {layer.name for layer in start.network.layers}
    writers = {
        index: name
        for group in start.channels.groups
        for name in group.writers
        for index in start.deployed.graph.writers_named(name)
    }
    return [
        LayerLatency(
            name=next((writers[part.operator.index] for part in layer.parts if part.operator.index in writers), None)
            or min(layer.operator.layer_names & known, default=str(layer.operator.index)),
            kind=layer.kinds,
            output_shape=layer.result_shapes[0],
            latency_ms=latency_ms,
        )
        for layer, latency_ms in latency.by_layer(widths)
    ]


def layers_record(start: Start, latency: LatencyResource, widths: Widths, filter_multiple: int) -> dict[str, Any]:
    """What `layers.json` holds of a target: JSON values, None for milliseconds that the table lacks.

    Args:
        start: the starting network.
        latency: its latency on the target.
        widths: of the adapted network.
        filter_multiple: see `candidate_filters`; staircases are of the numbers of filters that the search looked at.
    """
    pairs = zip(
        layer_latencies(start, latency, start.widths), layer_latencies(start, latency, widths), strict=True
    )  # groups may shrink, layers stay
    return {
        "call_ms": _known(latency.call_ms()),
        "layers": [
            {"name": before.name, "kind": before.kind, "before": _at(before), "after": _at(after)}
            for before, after in pairs
        ],
        "staircases": [
            _staircase(start, latency, name, widths[name], filter_multiple)
            for name in _saved_most(start, latency, widths)
        ],
    }


def _at(layer: LayerLatency) -> dict[str, Any]:
    return {"output_shape": list(layer.output_shape), "latency_ms": _known(layer.latency_ms)}


def _saved_most(start: Start, latency: LatencyResource, widths: Widths) -> Sequence[str]:
    """The groups whose cut alone takes most off the starting network, those first; none that the table cannot tell."""
    before_ms = latency.call_ms() + math.fsum(latency_ms for _, latency_ms in latency.by_layer(start.widths))
    saved_ms: dict[str, float] = {}
    for name, filters in widths.items():
        if filters < start.widths[name]:
            layers = latency.by_layer({**start.widths, name: filters})
            saved_ms[name] = before_ms - latency.call_ms() - math.fsum(latency_ms for _, latency_ms in layers)
    known = [name for name, saved in saved_ms.items() if math.isfinite(saved)]
    return sorted(known, key=lambda name: -saved_ms[name])[:_STAIRCASES]


def _staircase(
    start: Start, latency: LatencyResource, group: str, after: int, filter_multiple: int
) -> Mapping[str, Any]:
    """The layers that a group is part of, summed, at every number of filters; all other groups as at the start."""
    before = start.widths[group]
    own = latency.by_layer(start.widths)
    counts = [*candidate_filters(before, before, filter_multiple), before]
    narrowest = latency.by_layer({**start.widths, group: counts[0]})
    changing = [position for position, (a, b) in enumerate(zip(own, narrowest, strict=True)) if a[0] != b[0]]
    sums = []
    for filters in counts:
        layers = latency.by_layer({**start.widths, group: filters})
        sums.append(_known(math.fsum(layers[position][1] for position in changing)))
    return {"group": group, "before": before, "after": after, "filters": counts, "latency_ms": sums}


def _known(latency_ms: float) -> float | None:
    return latency_ms if math.isfinite(latency_ms) else None
