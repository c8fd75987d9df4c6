"""Filling a latency table: batches of one-layer models, the reference network in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from absl import logging

from tflite_bench.errors import UserError
from tflite_bench.graph import Graph, SizedOperator
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.progress import progress
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.timing import Job, Meter, Procedure, Reading, share

_BATCH = 32
_REFERENCE_EVERY = 8
_MAX_TRIES = 3
_MAX_INSTANCES = 32
_MAX_OUTPUT_BYTES = 256 << 10
_PASSES = 3

_REFERENCE = "REFERENCE"

CALL = "CALL"
"""The signature of what a call of the runtime costs by itself; a network is called once, whatever its layers."""


def statistic(procedure: Procedure) -> str:
    """What an entry of a filled table is, as its context says."""
    return f"median of {_PASSES} passes, each {procedure.statistic}"


class Caches:
    """How the caches are kept, while a layer is timed, as they are inside a network.

    Alone, a layer finds its weights in the caches; in a large network the other layers have pushed them out. So a
    one-layer model holds as many instances of its layer as have the network's weights together (to the next lower
    power of two: networks of like size share entries), but no more than leaves their outputs in the caches, where
    the next layer finds them. Instances also share the cost of the call, and average over places in memory.
    """

    def __init__(self, constant_bytes: int) -> None:
        """Decides by the size of the network's weights, in bytes."""
        self._weight_bytes = 1 << max(0, constant_bytes.bit_length() - 1)

    def __str__(self) -> str:
        return (
            f"up to {_MAX_INSTANCES} instances, of {self._weight_bytes} bytes of weights "
            f"and {_MAX_OUTPUT_BYTES} of outputs"
        )

    def instances(self, weight_bytes: int, output_bytes: int) -> int:
        """How many times over a layer stands in its one-layer model.

        Args:
            weight_bytes: bytes of its constants.
            output_bytes: bytes of its outputs.
        """
        most = min(self._weight_bytes // max(1, weight_bytes), _MAX_OUTPUT_BYTES // max(1, output_bytes))
        return max(1, min(_MAX_INSTANCES, most))


@dataclass(frozen=True)
class _Timed:
    """A one-layer model, how many instances of the layer it holds, and what is no part of the layer's time."""

    tflite: bytes
    instances: int
    call_ms: float


def fill(
    table: LatencyTable, meter: Meter, graph: Graph, layers: Mapping[str, SizedOperator], caches: Caches
) -> set[str]:
    """Cuts layers out, measures them one by one and stores the readings, batch by batch.

    The first that a table holds is `CALL`, what a call costs by itself; it is taken off every other reading.

    What disturbs a machine comes in bursts: every batch is gone through several times, and of a layer's readings
    the middle one counts. A batch in which the reference network drifts, within the batch or from what the table
    has seen, is measured again; the steadiest try counts.

    Args:
        table: where the entries go; its context says how they were measured.
        meter: the way to measure.
        graph: the network that the layers belong to.
        layers: what to measure, by signature.
        caches: how caches are treated.

    Returns:
        The signatures that could not be measured; each is said in a warning.

    Raises:
        UserError: not even the reference network can be measured.
    """
    failed: set[str] = set()
    signatures = sorted(layers)
    with progress("measuring layers", _PASSES * len(signatures)) as bar:
        batches = _Batches(table, meter, failed, bar.update)
        if signatures and CALL not in table:
            empty = almost_empty_model(meter.procedure.delegated)
            table.add(batches.steadiest({CALL: _Timed(empty, 1, 0.0)}))
            if failed:
                raise UserError("not even an almost empty model can be measured")
        for begin in range(0, len(signatures), _BATCH):
            batch = signatures[begin : begin + _BATCH]
            models = {signature: _cut_out(graph, layers[signature], caches, table) for signature in batch}
            entries = batches.steadiest(models)
            table.add(entries)
            failed -= {entry.signature for entry in entries}
    return failed


def _cut_out(graph: Graph, layer: SizedOperator, caches: Caches, table: LatencyTable) -> _Timed:
    operands = zip(layer.operator.inputs, layer.input_shapes, strict=True)
    weight_bytes = sum(graph.bytes_of(i, shape) for i, shape in operands if i >= 0 and graph.constant(i) is not None)
    outputs = zip(layer.operator.outputs, layer.output_shapes, strict=True)
    instances = caches.instances(weight_bytes, sum(graph.bytes_of(i, shape) for i, shape in outputs))
    return _Timed(one_layer_model(graph, layer, instances), instances, table.latency_ms(CALL))


class _Batches:
    """Measures batches; a reading is kept in the table the moment it is taken."""

    def __init__(self, table: LatencyTable, meter: Meter, failed: set[str], update: Callable[[int], object]) -> None:
        """Takes what all batches share.

        Args:
            table: keeps single readings until a batch is finished.
            meter: the way to measure.
            failed: signatures that could not be measured; added to.
            update: told of every reading of a layer.
        """
        self._table = table
        self._meter = meter
        self._failed = failed
        self._update = update
        self._usual_ms: float | None = None

    def steadiest(self, models: Mapping[str, _Timed]) -> list[Entry]:
        """The entries of a batch, from the try in which the reference network drifted least."""
        max_drift = self._meter.procedure.max_drift
        self._usual_ms = self._table.reference_ms()
        tries: list[list[Entry]] = []
        while len(tries) < _MAX_TRIES:
            tries.append(self._timed_once({s: model for s, model in models.items() if s not in self._failed}))
            self._table.drop_unfinished()
            if _drift(tries[-1]) <= max_drift:
                return tries[-1]
        steadiest = min(tries, key=_drift)
        logging.warning(
            "The reference network drifted by %.0f %% while layers were measured, in each of %d tries: "
            "the device is busy, and predictions are less sure; the entries are flagged.",
            100 * _drift(steadiest),
            _MAX_TRIES,
        )
        return steadiest

    def _timed_once(self, models: Mapping[str, _Timed]) -> list[Entry]:
        """One try at a batch; goes on with what an interrupted one has measured, adds to `failed`."""
        kept = self._table.unfinished()
        for number in range(_PASSES):
            slots = _pass(number, [signature for signature in models if signature not in self._failed])
            waiting = [slot for slot in slots if str(slot) not in kept]
            jobs = [self._job(slot, models) for slot in waiting]
            for position, answer in self._meter.time_all(jobs):
                slot = waiting[position]
                if isinstance(answer, Reading):
                    kept[str(slot)] = answer
                    self._table.add_unfinished(str(slot), answer)
                elif slot.signature is None:
                    raise UserError(f"not even the reference network can be measured: {answer}") from answer
                else:
                    logging.warning("%s cannot be measured: %s.", slot.signature, answer)
                    self._failed.add(slot.signature)
                self._update(slot.signature is not None)
        references_ms = [reading.latency_ms for slot, reading in kept.items() if slot.startswith(_REFERENCE)]
        reference_ms = float(np.median(references_ms))
        drift = max(abs(ms / (self._usual_ms or reference_ms) - 1) for ms in references_ms)
        return [
            Entry(
                signature,
                _middle([_share(kept[f"{signature} {n}"], model) for n in range(_PASSES)]),
                reference_ms,
                drift,
            )
            for signature, model in models.items()
            if signature not in self._failed
        ]

    def _job(self, slot: "_Slot", models: Mapping[str, _Timed]) -> Job:
        if slot.signature is None:
            return Job(reference_network(), loads=self._meter.procedure.reference_loads)
        return Job(models[slot.signature].tflite, loads=self._meter.procedure.loads)


@dataclass(frozen=True)
class _Slot:
    """A place in a batch: a layer in one of the passes, or the reference network (no signature)."""

    signature: str | None
    number: int

    def __str__(self) -> str:
        return f"{self.signature or _REFERENCE} {self.number}"


def _pass(number: int, signatures: Sequence[str]) -> list[_Slot]:
    """The layers in order, the reference network before, after and every few of them."""
    slots: list[_Slot] = []
    for position, signature in enumerate(signatures):
        if position % _REFERENCE_EVERY == 0:
            slots.append(_Slot(None, 1000 * number + len(slots)))
        slots.append(_Slot(signature, number))
    return [*slots, _Slot(None, 1000 * number + len(slots))]


def _drift(entries: Sequence[Entry]) -> float:
    return max((entry.drift for entry in entries), default=0.0)


def _share(whole: Reading, model: _Timed) -> Reading:
    return share(whole, model.call_ms, model.instances)


def _middle(readings: Sequence[Reading]) -> Reading:
    return sorted(readings, key=lambda reading: reading.latency_ms)[len(readings) // 2]
