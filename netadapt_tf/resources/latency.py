"""Latency on a target: predicted as the sum of the table's layers, measured on the whole network."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.progress import progress
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.resource import Measurement
from tflite_bench import reference, timing
from tflite_bench.errors import MeasurementError
from tflite_bench.host import HostMeter
from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.target import Target

_BATCH = 32
_REFERENCE_EVERY = 8
_MAX_DRIFT = 0.05
_MAX_TRIES = 3
_COLD_FROM_BYTES = 4 << 20
_COLD_LAYER_BYTES = 4096
_MAX_COPIES = 64


class Latency:
    """Milliseconds of one inference on a target."""

    unit = "ms"

    def __init__(
        self, network: DeployedNetwork, start: Widths, target: Target, meter: HostMeter, table_path: Path
    ) -> None:
        """Opens the table for this target.

        Args:
            network: the starting network, converted.
            start: its widths.
            target: where `meter` measures.
            meter: the way to measure.
            table_path: the table's file; shared by all searches, filled on demand.
        """
        self._network = network
        self._target = target
        self._meter = meter
        self._start_tflite = network.resized(start)
        self._rotated_bytes = _rotated_bytes(network.constant_bytes)
        caches = f"cold weights {self._rotated_bytes >> 20} MiB" if self._rotated_bytes else "warm"
        context = Context(str(target), meter.fingerprint(), caches, timing.STATISTIC)
        self._table = LatencyTable(table_path, context)
        self._signatures: dict[tuple[tuple[str, int], ...], list[str]] = {}
        self._failed: set[str] = set()

    def prepare(self, candidates: Iterable[Widths]) -> None:
        """Measures every layer of the candidates that the table does not hold; each batch is kept at once."""
        missing: dict[str, bytes] = {}
        for widths in candidates:
            known = self._failed | missing.keys()
            unknown = {s for s in self._signatures_of(widths) if s not in self._table and s not in known}
            if unknown:
                models = self._network.layer_models(widths)
                missing.update({signature: models[signature] for signature in unknown})
        signatures = sorted(missing)
        with progress("measuring layers", len(signatures)) as bar:
            for begin in range(0, len(signatures), _BATCH):
                batch = signatures[begin : begin + _BATCH]
                self._table.add(self._measured_batch(batch, [missing[signature] for signature in batch]))
                bar.update(len(batch))

    def predict(self, widths: Widths) -> float:
        """The sum over the layers, in milliseconds; infinite where a layer could not be measured."""
        signatures = self._signatures_of(widths)
        if any(signature not in self._table for signature in signatures):
            self.prepare([widths])
        if self._failed.intersection(signatures):
            return math.inf
        return math.fsum(self._table.latency_ms(signature) for signature in signatures)

    def measure(self, widths: Widths) -> Measurement:
        """Times the network at these widths and the starting network in turn, both made by editing."""
        return self.measure_files(self._start_tflite, self._network.resized(widths))

    def measure_files(self, start: bytes, tflite: bytes) -> Measurement:
        """Times two `.tflite` in turn; `value` is the median ratio times the start's median."""
        compared = self._meter.compare(timing.Pair(start, tflite))
        return Measurement(
            start=compared.first_ms,
            value=compared.ratio * compared.first_ms,
            spread=compared.ratio_spread * compared.first_ms,
        )

    def fingerprint(self) -> dict[str, str | int]:
        """What the readings depend on."""
        return self._meter.fingerprint()

    def _signatures_of(self, widths: Widths) -> list[str]:
        key = tuple(widths.items())
        if key not in self._signatures:
            self._signatures[key] = self._network.signatures(widths)
        return self._signatures[key]

    def _measured_batch(self, signatures: Sequence[str], models: Sequence[bytes]) -> list[Entry]:
        """Times a batch; repeats it when the reference network drifts, and takes the steadiest try."""
        usual_ms = self._table.reference_ms()
        tries: list[tuple[float, list[Entry]]] = []
        while len(tries) < _MAX_TRIES:
            tries.append(self._timed_once(signatures, models, usual_ms))
            drift, entries = tries[-1]
            if drift <= _MAX_DRIFT:
                return entries
        drift, entries = min(tries, key=lambda tried: tried[0])
        logging.warning(
            "The reference network drifted by %.0f %% while layers were measured on %s, in each of %d tries: "
            "the machine is busy, and predictions are less sure.",
            100 * drift,
            self._target,
            _MAX_TRIES,
        )
        return entries

    def _timed_once(
        self, signatures: Sequence[str], models: Sequence[bytes], usual_ms: float | None
    ) -> tuple[float, list[Entry]]:
        """One try at a batch, the reference network in between: its greatest drift, and the entries."""
        references_ms = [self._reference_ms()]
        readings: dict[str, timing.Reading] = {}
        for position, (signature, model) in enumerate(zip(signatures, models, strict=True), start=1):
            if signature not in self._failed:
                try:
                    readings[signature] = self._meter.time(self._job(model))
                except MeasurementError as error:
                    logging.warning("%s cannot be measured on %s: %s.", signature, self._target, error)
                    self._failed.add(signature)
            if position % _REFERENCE_EVERY == 0 or position == len(models):
                references_ms.append(self._reference_ms())
        reference_ms = float(np.median(references_ms))
        drift = max(abs(ms / (usual_ms or reference_ms) - 1) for ms in references_ms)
        return drift, [Entry(signature, reading, reference_ms) for signature, reading in readings.items()]

    def _reference_ms(self) -> float:
        return self._meter.time(timing.Job(reference.reference_network())).latency_ms

    def _job(self, model: bytes) -> timing.Job:
        if not self._rotated_bytes or len(model) < _COLD_LAYER_BYTES:
            return timing.Job(model)
        copies = max(1, min(_MAX_COPIES, self._rotated_bytes // len(model)))
        return timing.Job(model, copies, loads=-(-timing.Job.loads // copies))


def _rotated_bytes(constant_bytes: int) -> int:
    """How many bytes of weights take turns, so that a layer finds its own as cold as in the network; 0: warm.

    The network's own weights, to the next lower power of two, so that networks of like size share entries.
    """
    return 1 << (constant_bytes.bit_length() - 1) if constant_bytes >= _COLD_FROM_BYTES else 0
