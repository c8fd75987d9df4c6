"""A meter whose readings follow from the work a model does, so that tests know what is right."""

from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph, sized
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.timing import Comparison, Job, Pair, Procedure, Reading

CALL_MS = 0.01


def work_ms(tflite: bytes) -> float:
    """A hundredth of a millisecond for the call, and a millisecond for a million MACs."""
    return CALL_MS + sum(layer.macs for layer in sized(Graph(tflite), {})) / 1e6


class FakeMeter:
    """Time is work; the reference network takes what it is told, by how often it has been asked.

    `jobs` are those of layers.
    """

    procedure = Procedure(loads=3, reference_loads=5, statistic="imagined", max_drift=0.03, delegated=False)

    def __init__(self, reference_ms=lambda call: 1.0):
        self.jobs: list[Job] = []
        self._references = 0
        self._reference_ms = reference_ms

    def fingerprint(self):
        return {"cpu": "imagined"}

    def time_all(self, jobs):
        for position, job in enumerate(jobs):
            try:
                yield position, self.time(job)
            except MeasurementError as error:
                yield position, error

    def time(self, job: Job) -> Reading:
        if job.tflite == reference_network():
            self._references += 1
            return Reading(self._reference_ms(self._references), 1, 1, 1)
        if job.tflite != almost_empty_model():
            self.jobs.append(job)
        return Reading(work_ms(job.tflite), 0, 0, 1)

    def compare(self, pair: Pair) -> Comparison:
        first_ms, second_ms = work_ms(pair.first), work_ms(pair.second)
        return Comparison(first_ms, second_ms, second_ms / first_ms, 0.01, 1, 1)
