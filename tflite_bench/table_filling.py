"""Filling a latency table: batches of one-layer models, the reference network in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from absl import logging

from tflite_bench.drift import References, fill_steadily, reference_job
from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Entry, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.progress import progress
from tflite_bench.reference import almost_empty_model
from tflite_bench.sizing import SizedOperator
from tflite_bench.timing import Job, Meter, Procedure, Reading, share
from tflite_bench.unfinished import SingleReading, Unfinished

_BATCH = 32
_REFERENCE_EVERY = 8
_MAX_INSTANCES = 32
_MAX_OUTPUT_BYTES = 256 << 10
PASSES = 3

CALL = "CALL"
"""The signature of what a call of the runtime costs by itself; a network is called once, whatever its layers."""


def statistic(procedure: Procedure) -> str:
    """What an entry of a filled table is, as its context says."""
    return f"median of {PASSES} passes, each {procedure.statistic}"


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

    def of_one(self, whole: Reading) -> Reading:
        """One layer's share of the model's reading."""
        return share(whole, self.call_ms, self.instances)


def fill(
    table: LatencyTable, meter: Meter, graph: Graph, layers: Mapping[str, SizedOperator], caches: Caches
) -> set[str]:
    """Cuts layers out, measures them one by one and stores the readings, batch by batch.

    The first that a table holds is `CALL`, what a call costs by itself; it is taken off every other reading.

    What disturbs a machine comes in bursts: every batch is gone through several times, and of a layer's readings
    the middle one counts. A batch in which the reference network drifts, within the batch or from what the table
    has seen, is measured again; the steadiest try counts. Where there are several places each measures a part of the
    batch, another in each pass.

    Args:
        table: where the entries go; its context says how they were measured. What another process stores in it
            meanwhile is not measured again.
        meter: the way to measure.
        graph: the network that the layers belong to.
        layers: what to measure, by signature.
        caches: how caches are treated.

    Returns:
        The signatures that could not be measured; each is said in a warning.

    Raises:
        UserError: not even the reference network can be measured.
    """
    signatures = sorted(layers)
    add_call(table, meter)
    with progress("measuring layers", PASSES * len(signatures)) as bar:
        for begin in range(0, len(signatures), _BATCH):
            batch = signatures[begin : begin + _BATCH]
            with table.filling():
                missing = [signature for signature in batch if signature not in table]
                bar.update(PASSES * (len(batch) - len(missing)))
                models = {signature: _cut_out(graph, layers[signature], caches, table) for signature in missing}
                _fill_batch(models, table, meter, bar.update)
    return {signature for signature in signatures if signature not in table}


def add_call(table: LatencyTable, meter: Meter) -> None:
    """Sees that the table knows what a call costs by itself.

    Raises:
        UserError: it cannot be measured.
    """
    if CALL in table:
        return
    with table.filling():
        if CALL not in table:
            empty = almost_empty_model(meter.procedure.delegated)
            _fill_batch({CALL: _Timed(empty, 1, 0.0)}, table, meter, lambda _: None)
    if CALL not in table:
        raise UserError("not even an almost empty model can be measured")


def _cut_out(graph: Graph, layer: SizedOperator, caches: Caches, table: LatencyTable) -> _Timed:
    operands = [
        operand for part in layer.parts for operand in zip(part.operator.inputs, part.input_shapes, strict=True)
    ]
    weight_bytes = sum(graph.bytes_of(i, shape) for i, shape in operands if i >= 0 and graph.constant(i) is not None)
    outputs = zip(layer.parts[-1].operator.outputs, layer.result_shapes, strict=True)
    instances = caches.instances(weight_bytes, sum(graph.bytes_of(i, shape) for i, shape in outputs))
    return _Timed(one_layer_model(graph, layer, instances), instances, table.latency_ms(CALL))


def _fill_batch(
    models: Mapping[str, _Timed], table: LatencyTable, meter: Meter, update: Callable[[int], object]
) -> None:
    """Measures a batch; tells `update` of every reading of a layer."""
    if not models:
        return
    failed: set[str] = set()

    def measure() -> list[Entry]:
        return _timed_once(models, table, meter, failed, update)

    fill_steadily(table, meter.procedure.max_drift, models.keys(), measure)


def _timed_once(
    models: Mapping[str, _Timed],
    table: LatencyTable,
    meter: Meter,
    failed: set[str],
    update: Callable[[int], object],
) -> list[Entry]:
    """One try at a batch, but for the layers in `failed`; goes on from what an interrupted try has measured."""
    unfinished = Unfinished(table)
    references = References(meter)
    readings = {
        (one.signature, one.number): one.reading for one in references.vouched_for(unfinished.readings(models.keys()))
    }
    with unfinished:
        for number in range(PASSES):
            waiting = {
                place: [s for s in part if s not in failed and (s, number) not in readings]
                for place, part in _parts(list(models), number, references.places).items()
            }
            update(len(models) - sum(map(len, waiting.values())))
            slots = [slot for place, part in waiting.items() for slot in _with_references(place, part)]
            jobs = [
                Job(
                    models[slot.signature].tflite,
                    loads=meter.procedure.loads,
                    place=slot.place,
                    is_layer=slot.signature != CALL,
                )
                if slot.signature
                else reference_job(meter, slot.place)
                for slot in slots
            ]
            missed = []
            for position, answer in meter.time_all(jobs):
                slot = slots[position]
                if slot.signature is None:
                    if isinstance(answer, Reading):
                        references.add(slot.place, answer)
                    else:
                        missed.append(slot.place)
                elif isinstance(answer, Reading):
                    readings[slot.signature, number] = answer
                    reference_ms = references.latest_ms(slot.place)
                    if reference_ms:
                        unfinished.keep([SingleReading(slot.signature, number, answer, reference_ms)])
                else:
                    logging.warning("%s cannot be measured: %s.", slot.signature, answer)
                    failed.add(slot.signature)
                update(slot.signature is not None)
            for place in missed:
                references.time_at([place])
    measured = [signature for signature in models if signature not in failed]
    drift = references.drift(table.reference_ms()) if measured else 0.0
    is_flagged = drift > meter.procedure.max_drift
    return [
        Entry(signature, _middle(passes), references.median_ms(), drift, is_flagged)
        for signature in measured
        for passes in [[models[signature].of_one(readings[signature, number]) for number in range(PASSES)]]
    ]


@dataclass(frozen=True)
class _Slot:
    """What is timed at a place: a layer, or the reference network (no signature)."""

    signature: str | None
    place: int


def _parts(signatures: Sequence[str], number: int, places: int) -> dict[int, list[str]]:
    """The batch dealt to the places, in another way in each pass: every layer is timed in several places."""
    return {
        place: [s for position, s in enumerate(signatures) if (position + number) % places == place]
        for place in range(places)
    }


def _with_references(place: int, part: Sequence[str]) -> list[_Slot]:
    """A place's layers in order, the reference network before, after and every few of them."""
    slots: list[_Slot] = []
    for position, signature in enumerate(part):
        if position % _REFERENCE_EVERY == 0:
            slots.append(_Slot(None, place))
        slots.append(_Slot(signature, place))
    return [*slots, _Slot(None, place)] if part else []


def _middle(readings: Sequence[Reading]) -> Reading:
    return sorted(readings, key=lambda reading: reading.latency_ms)[len(readings) // 2]
