"""Where a model's time goes: whole, and layer by layer in the ways that its target allows."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from absl import logging

from tflite_bench.adapter import remarks
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph
from tflite_bench.joining import joined
from tflite_bench.latency_table import LatencyTable
from tflite_bench.layer_signature import layer_signature
from tflite_bench.layer_times import LayerTimes
from tflite_bench.operator_profile import layer_latencies_ms
from tflite_bench.sizing import SizedOperator, sized
from tflite_bench.table_filling import CALL, PASSES
from tflite_bench.target import Target
from tflite_bench.timing import Job, Meter, Reading
from tflite_bench.tool_meter import ToolMeter


@dataclass(frozen=True)
class LayerProfile:
    """One layer.

    Attributes:
        layer: with its shapes.
        alone_ms: as a one-layer model; None where it could not be measured.
        inside_ms: from the operator profile of the whole model; None where there is none.
    """

    layer: SizedOperator
    alone_ms: float | None
    inside_ms: float | None


@dataclass(frozen=True)
class ModelProfile:
    """A model and its layers.

    Attributes:
        target: where it was measured.
        whole: reading of the whole model.
        call_ms: what one run costs besides its layers.
        layers: in order of execution.
        remarks: sentences on the device that readers must know.
    """

    target: Target
    whole: Reading
    call_ms: float
    layers: Sequence[LayerProfile]
    remarks: Sequence[str] = ()


def profile_model(tflite: bytes, target: Target, meter: Meter, table_path: Path) -> ModelProfile:
    """Measures a model whole, its layers one by one, and where the tool can, its operators in place.

    Both ways are shown whatever the target's option `layers` says; says what it is about to do, and about how long.

    Args:
        tflite: the model.
        target: where `meter` measures.
        meter: the way to measure.
        table_path: file of the latency table, which keeps the layers alone.

    Raises:
        UserError: the model cannot be measured whole.
    """
    graph = Graph(tflite)
    layers = sized(graph, {})
    alone = replace(target, options=tuple(option for option in target.options if option[0] != "layers"))
    times = LayerTimes(graph, alone, meter)
    if times.joins:
        layers = joined(graph, layers)
    table = LatencyTable(table_path, times.context)
    signatures = [layer_signature(graph, layer) for layer in layers]
    missing = {s: layer for s, layer in zip(signatures, layers, strict=True) if s not in table}
    logging.info("Measuring the model whole on %s, then %s.", target, _what_is_missing(len(missing), len(layers)))
    begin = time.monotonic()
    whole = _whole(tflite, target, meter)
    if missing:
        seconds = PASSES * len(missing) * (time.monotonic() - begin)
        logging.info("The %d layers will take about %s.", len(missing), timedelta(seconds=math.ceil(seconds)))
    failed = times.fill(table, missing, lambda: [])
    inside_ms = _inside_ms(tflite, target, meter, layers)
    return ModelProfile(
        target,
        whole,
        table.latency_ms(CALL),
        [
            LayerProfile(layer, None if signature in failed else table.latency_ms(signature), inside)
            for layer, signature, inside in zip(layers, signatures, inside_ms, strict=True)
        ],
        remarks(target, meter.fingerprint()),
    )


def profile_text(profile: ModelProfile) -> str:
    """A line for each layer, and the sums beside the whole model's latency."""
    alone_ms = profile.call_ms + sum(layer.alone_ms or 0.0 for layer in profile.layers)
    inside_ms = [layer.inside_ms for layer in profile.layers if layer.inside_ms is not None]
    lines = [
        f"{profile.target}: {profile.whole.latency_ms:.4f} ms whole ({profile.whole.runs} runs, p5 "
        f"{profile.whole.p5_ms:.4f}, p95 {profile.whole.p95_ms:.4f})",
        f"{'alone, ms':>11} {'share':>7} {'inside, ms':>11}  layer",
    ]
    for layer in profile.layers:
        shape = "x".join(map(str, layer.layer.result_shapes[0][1:]))
        share = f"{(layer.alone_ms or 0.0) / alone_ms:7.1%}" if alone_ms else " " * 7
        lines.append(
            f"{_ms(layer.alone_ms):>11} {share} {_ms(layer.inside_ms):>11}  "
            f"{layer.layer.operator.index:>3} {layer.layer.kinds} -> {shape}"
        )
    lines.append(f"{profile.call_ms:11.4f} {'':7} {'':11}  one call")
    lines.append(f"{alone_ms:11.4f} {'':7} {_ms(sum(inside_ms) if inside_ms else None):>11}  in all")
    lines.append(f"sum of the layers alone and one call / whole: {alone_ms / profile.whole.latency_ms:.3f}")
    if inside_ms:
        lines.append(f"sum of the layers inside / whole: {sum(inside_ms) / profile.whole.latency_ms:.3f}")
    return "\n".join([*lines, *profile.remarks])


def _ms(latency_ms: float | None) -> str:
    return "-" if latency_ms is None else f"{latency_ms:.4f}"


def _what_is_missing(missing: int, layers: int) -> str:
    if not missing:
        return f"none of its {layers} layers: the table holds them all"
    return f"{missing} different layers of its {layers}, each alone and {PASSES} times over"


def _whole(tflite: bytes, target: Target, meter: Meter) -> Reading:
    [(_, answer)] = meter.time_all([Job(tflite)])
    if isinstance(answer, MeasurementError):
        raise UserError(f"the model cannot be measured on {target}: {answer}") from answer
    if not answer.latency_ms > 0:
        raise UserError(f"the model is too small to be measured on {target}: the tool reports 0 ms")
    return answer


def _inside_ms(tflite: bytes, target: Target, meter: Meter, layers: Sequence[SizedOperator]) -> list[float | None]:
    if not isinstance(meter, ToolMeter) or not meter.can_profile:
        return [None] * len(layers)
    [(_, answer)] = meter.profile_all([Job(tflite)])
    try:
        if isinstance(answer, MeasurementError):
            raise answer
        return list(layer_latencies_ms(answer, layers))
    except MeasurementError as error:
        logging.warning("No operator profile on %s: %s.", target, error)
        return [None] * len(layers)
