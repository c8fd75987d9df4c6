import pytest

from tests.fake_meter import FakeMeter, work_ms
from tflite_bench.errors import MeasurementError
from tflite_bench.graph import Graph, sized
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.table_filling import Caches, fill
from tflite_bench.timing import Job, Reading

WARM = Caches(constant_bytes=1000)


@pytest.fixture
def table(tmp_path) -> LatencyTable:
    return LatencyTable(tmp_path / "table", Context("host/cpu:1", {}, str(WARM), "median"))


@pytest.fixture
def models(mobilenet_tflite) -> dict[str, bytes]:
    graph = Graph(mobilenet_tflite)
    return {layer_signature(graph, layer): one_layer_model(graph, layer) for layer in sized(graph, {})}


def test_every_layer_gets_its_own_reading(table, models):
    assert fill(table, FakeMeter(), models, WARM) == set()
    for signature, model in models.items():
        assert table.latency_ms(signature) == pytest.approx(work_ms(model))


def test_a_batch_in_which_the_reference_drifts_is_repeated_and_the_steady_try_counts(table, models):
    class SlowAtFirst(FakeMeter):
        """From the second reading of the reference to the end of the first try everything takes half as long again."""

        def time(self, job: Job) -> Reading:
            slow = 1.5 if 0 < len(self.jobs) < len(models) else 1.0
            return Reading(super().time(job).latency_ms * slow, 0, 0, 1)

    meter = SlowAtFirst()
    fill(table, meter, models, WARM)
    assert len(meter.jobs) == 2 * len(models)
    for signature, model in models.items():
        assert table.latency_ms(signature) == pytest.approx(work_ms(model))


def test_a_machine_that_never_settles_is_said(table, models, caplog):
    meter = FakeMeter(lambda call: 1.0 + call % 2)
    fill(table, meter, models, WARM)
    assert len(meter.jobs) == 3 * len(models)
    assert "drifted" in caplog.text
    assert len(table) == len(models)


def test_a_machine_slower_than_when_the_table_was_begun_is_noticed(table, models, caplog):
    first, *others = models
    fill(table, FakeMeter(), {first: models[first]}, WARM)
    assert "drifted" not in caplog.text
    fill(table, FakeMeter(lambda call: 1.5), {name: models[name] for name in others}, WARM)
    assert "drifted by 50 %" in caplog.text


def test_a_model_that_crashes_the_runtime_costs_one_entry(table, models, caplog):
    victim = next(signature for signature in models if signature.startswith("MEAN"))

    class Crashing(FakeMeter):
        def time(self, job: Job) -> Reading:
            if job.tflite == models[victim]:
                raise MeasurementError("the runtime crashed on this model")
            return super().time(job)

    assert fill(table, Crashing(), models, WARM) == {victim}
    assert len(table) == len(models) - 1
    assert f"{victim} cannot be measured: the runtime crashed on this model" in caplog.text


def test_batches_before_an_interruption_are_kept(table, models):
    class Interrupted(FakeMeter):
        def time(self, job: Job) -> Reading:
            if len(self.jobs) == 40:
                raise KeyboardInterrupt
            return super().time(job)

    many = {f"{name} {number}": model for number in range(3) for name, model in models.items()}
    with pytest.raises(KeyboardInterrupt):
        fill(table, Interrupted(), many, WARM)
    assert len(table) == 32


def test_small_networks_are_warm_and_large_ones_rotate_copies():
    assert str(WARM) == "warm"
    assert WARM.job(bytes(100_000)).copies == 1
    cold = Caches(constant_bytes=17 << 20)
    assert str(cold) == "cold weights, 16 MiB"
    assert cold.job(bytes(1 << 20)).copies == 16
    assert cold.job(bytes(1 << 20)).loads == 1
    assert cold.job(bytes(8 << 20)).copies == 2
    assert cold.job(bytes(8 << 20)).loads == 3
    assert cold.job(bytes(5000)).copies == 64
    assert cold.job(bytes(4000)) == Job(bytes(4000))
    assert str(Caches(constant_bytes=20 << 20)) == str(cold)
