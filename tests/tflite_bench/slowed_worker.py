"""`tflite_bench.host_worker` on a machine that is slow for a while: from the first layer to the last of its first try.

    python -m tests.tflite_bench.slowed_worker FILE_DESCRIPTOR THREADS

The reference network and the almost empty model are slow too, between the first layer and the last slow one.
"""

from tflite_bench import host_worker, timing
from tflite_bench.reference import almost_empty_model, reference_network

SLOW_LAYERS = 12
"""How many readings of layers are taken while the machine is slow."""


SLOWNESS = 8
"""How many times as long everything takes then: other tenants of a machine were seen to do 2.7."""


class _SlowModel(host_worker._LoadedModel):
    """Runs several times where it should run once."""

    def run_ms(self) -> float:
        return sum(super(_SlowModel, self).run_ms() for _ in range(SLOWNESS))


class _SlowedWatch(host_worker._Watch):
    _layers = 0

    def time(self, job: timing.Job) -> timing.Reading:
        if job.tflite not in (reference_network(), almost_empty_model()):
            self._layers += 1
        host_worker._LoadedModel = _SlowModel if 0 < self._layers <= SLOW_LAYERS else _PlainModel  # type: ignore[misc]
        return super().time(job)


_PlainModel = host_worker._LoadedModel

if __name__ == "__main__":
    host_worker._Watch = _SlowedWatch  # type: ignore[misc]
    host_worker.main()
