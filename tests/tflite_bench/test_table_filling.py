import pytest

from tests.fake_meter import FakeMeter, work_ms
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph, SizedOperator, sized
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_models import one_layer_model
from tflite_bench.layer_signature import layer_signature
from tflite_bench.table_filling import Caches, fill
from tflite_bench.timing import Job, Reading

WARM = Caches(constant_bytes=1000)


@pytest.fixture
def table(tmp_path) -> LatencyTable:
    return LatencyTable(tmp_path / "table", Context("host/cpu:1", {}, str(WARM), "median"))


@pytest.fixture(scope="module")
def graph(mobilenet_tflite) -> Graph:
    return Graph(mobilenet_tflite)


@pytest.fixture(scope="module")
def layers(graph) -> dict[str, SizedOperator]:
    return {layer_signature(graph, layer): layer for layer in sized(graph, {})}


def test_every_layer_gets_its_own_reading(table, graph, layers):
    assert fill(table, FakeMeter(), graph, layers, WARM) == set()
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(work_ms(one_layer_model(graph, layer)))


def test_a_batch_in_which_the_reference_drifts_is_repeated_and_the_steady_try_counts(table, graph, layers):
    class SlowAtFirst(FakeMeter):
        """From the second reading of the reference to the end of the first try everything takes half as long again."""

        def time(self, job: Job) -> Reading:
            slow = 1.5 if 0 < len(self.jobs) < len(layers) else 1.0
            return Reading(super().time(job).latency_ms * slow, 0, 0, 1)

    meter = SlowAtFirst()
    fill(table, meter, graph, layers, WARM)
    assert len(meter.jobs) == 2 * len(layers)
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(work_ms(one_layer_model(graph, layer)))


def test_a_machine_that_never_settles_is_said(table, graph, layers, caplog):
    meter = FakeMeter(lambda call: 1.0 + call % 2)
    fill(table, meter, graph, layers, WARM)
    assert len(meter.jobs) == 3 * len(layers)
    assert "drifted" in caplog.text
    assert len(table) == len(layers)


def test_a_machine_slower_than_when_the_table_was_begun_is_noticed(table, graph, layers, caplog):
    first, *others = layers
    fill(table, FakeMeter(), graph, {first: layers[first]}, WARM)
    assert "drifted" not in caplog.text
    fill(table, FakeMeter(lambda call: 1.5), graph, {name: layers[name] for name in others}, WARM)
    assert "drifted by 50 %" in caplog.text


def test_a_model_that_crashes_the_runtime_costs_one_entry(table, graph, layers, caplog):
    victim = next(signature for signature in layers if signature.startswith("MEAN"))

    class Crashing(FakeMeter):
        def time(self, job: Job) -> Reading:
            if job.tflite == one_layer_model(graph, layers[victim]):
                raise MeasurementError("the runtime crashed on this model")
            return super().time(job)

    assert fill(table, Crashing(), graph, layers, WARM) == {victim}
    assert len(table) == len(layers) - 1
    assert f"{victim} cannot be measured: the runtime crashed on this model" in caplog.text


def test_batches_before_an_interruption_are_kept(table, graph, layers):
    class Interrupted(FakeMeter):
        def time(self, job: Job) -> Reading:
            if len(self.jobs) == 40:
                raise KeyboardInterrupt
            return super().time(job)

    many = {f"{name} {number}": layer for number in range(3) for name, layer in layers.items()}
    with pytest.raises(KeyboardInterrupt):
        fill(table, Interrupted(), graph, many, WARM)
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
    assert cold.job(bytes(6000)).copies == 64
    assert cold.job(bytes(4000)) == Job(bytes(4000))
    assert str(Caches(constant_bytes=20 << 20)) == str(cold)


def test_a_machine_that_cannot_even_run_the_reference_is_said(table, graph, layers):
    class Dead(FakeMeter):
        def time(self, job: Job) -> Reading:
            raise MeasurementError("the runtime crashed on this model")

    with pytest.raises(UserError, match="reference network"):
        fill(table, Dead(), graph, layers, WARM)
