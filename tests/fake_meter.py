"""A meter whose readings follow from the work a model does, so that tests know what is right."""

import copy
import dataclasses

from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph
from tflite_bench.operator_profile import ProfiledNode
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.sizing import sized
from tflite_bench.timing import Comparison, Job, Pair, Procedure, Reading

CALL_MS = 0.01


def work_ms(tflite: bytes) -> float:
    """A hundredth of a millisecond for the call, and a millisecond for a million MACs."""
    return CALL_MS + sum(layer.macs for layer in sized(Graph(tflite), {})) / 1e6


class FakeMeter:
    """Time is work; the reference network takes what it is told, by how often it has been asked.

    `jobs` are those of layers, `reference_jobs` those of the reference network.
    """

    procedure = Procedure(loads=3, reference_loads=5, statistic="imagined", max_drift=0.03, delegated=False)

    def __init__(self, reference_ms=lambda call: 1.0, places=1, delegated=False):
        self.procedure = dataclasses.replace(self.procedure, places=places, delegated=delegated)
        self.jobs: list[Job] = []
        self.reference_jobs: list[Job] = []
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
            self.reference_jobs.append(job)
            return Reading(self._reference_ms(self._references), 1, 1, 1)
        if job.tflite != almost_empty_model(self.procedure.delegated):
            self.jobs.append(job)
        return Reading(work_ms(job.tflite), 0, 0, 1)

    def compare(self, pair: Pair) -> Comparison:
        first_ms, second_ms = work_ms(pair.first), work_ms(pair.second)
        return Comparison(first_ms, second_ms, second_ms / first_ms, 0.01, 1, 1)


class FakeProfiler(FakeMeter):
    """Profiles networks too; a run has a mean of a hundredth of a millisecond more than its median.

    `profiled` are the networks' jobs.
    """

    _mean_is_more_by_ms = 0.0

    def __init__(self, reference_ms=lambda call: 1.0, places=1):
        super().__init__(reference_ms, places)
        self.profiled: list[Job] = []

    def with_means(self):
        other = copy.copy(self)
        other._mean_is_more_by_ms = 0.01
        return other

    def time(self, job: Job) -> Reading:
        reading = super().time(job)
        if job.tflite == reference_network():
            return reading
        return dataclasses.replace(reading, latency_ms=reading.latency_ms + self._mean_is_more_by_ms)

    def profile_all(self, jobs):
        for position, job in enumerate(jobs):
            self.profiled.append(job)
            try:
                yield position, self.profile(job)
            except MeasurementError as error:
                yield position, error

    def profile(self, job: Job) -> list[ProfiledNode]:
        layers = sized(Graph(job.tflite), {})
        return [
            ProfiledNode(layer.operator.kind, f"[tensors]:{layer.operator.index}", layer.macs / 1e6) for layer in layers
        ]
