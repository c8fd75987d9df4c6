import pytest

from tests.fake_meter import CALL_MS, FakeMeter
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.layer_signature import layer_signature
from tflite_bench.reference import almost_empty_model, reference_network
from tflite_bench.sizing import SizedOperator, sized
from tflite_bench.table_filling import CALL, Caches, fill
from tflite_bench.timing import Job, Reading

CACHES = Caches(constant_bytes=200_000)
PASSES = 3


@pytest.fixture
def table(tmp_path) -> LatencyTable:
    return LatencyTable(tmp_path / "table", Context("host/cpu:1", {}, str(CACHES), "median"))


@pytest.fixture(scope="module")
def graph(mobilenet_tflite) -> Graph:
    return Graph(mobilenet_tflite)


@pytest.fixture(scope="module")
def layers(graph) -> dict[str, SizedOperator]:
    return {layer_signature(graph, layer): layer for layer in sized(graph, {})}


def test_every_layer_gets_its_own_reading(table, graph, layers):
    assert fill(table, FakeMeter(), graph, layers, CACHES) == set()
    assert table.latency_ms(CALL) == pytest.approx(CALL_MS)
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_the_meter_is_told_what_is_a_layer(table, graph, layers):
    calls: list[Job] = []

    class Calls(FakeMeter):
        def time(self, job: Job) -> Reading:
            if job.tflite == almost_empty_model():
                calls.append(job)
            return super().time(job)

    meter = Calls()
    fill(table, meter, graph, layers, CACHES)
    assert all(job.is_layer for job in meter.jobs)
    assert not any(job.is_layer for job in meter.reference_jobs)
    assert [job.is_layer for job in calls] == [False] * PASSES


def test_a_batch_in_which_the_reference_drifts_is_repeated_and_the_steady_try_counts(table, graph, layers):
    class SlowAtFirst(FakeMeter):
        """From the second reading of the reference to the end of the first try everything takes half as long again."""

        def time(self, job: Job) -> Reading:
            slow = 1.5 if 0 < len(self.jobs) < PASSES * len(layers) else 1.0
            return Reading(super().time(job).latency_ms * slow, 0, 0, 1)

    meter = SlowAtFirst()
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == 2 * PASSES * len(layers)
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_a_burst_leaves_no_trace(table, graph, layers):
    class Burst(FakeMeter):
        """One of a layer's readings is twice what it should be, and the reference network sees nothing of it."""

        def time(self, job: Job) -> Reading:
            reading = super().time(job)
            slow = 2.0 if job.tflite != reference_network() and 10 <= len(self.jobs) < 10 + len(layers) else 1.0
            return Reading(reading.latency_ms * slow, 0, 0, 1)

    meter = Burst()
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == PASSES * len(layers)
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_a_machine_that_never_settles_is_said(table, graph, layers, caplog):
    meter = FakeMeter(lambda call: 1.0 + call % 2)
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == 3 * PASSES * len(layers)
    assert "drifted" in caplog.text
    assert len(table) == len({CALL} | layers.keys())


def test_a_machine_slower_than_when_the_table_was_begun_is_noticed(table, graph, layers, caplog):
    first, *others = layers
    fill(table, FakeMeter(), graph, {first: layers[first]}, CACHES)
    assert "drifted" not in caplog.text
    fill(table, FakeMeter(lambda call: 1.5), graph, {name: layers[name] for name in others}, CACHES)
    assert "drifted by 50 %" in caplog.text


def test_a_model_that_crashes_the_runtime_costs_one_entry(table, graph, layers, caplog):
    victim = next(signature for signature in layers if signature.startswith("MEAN"))

    class Crashing(FakeMeter):
        def time(self, job: Job) -> Reading:
            if Graph(job.tflite).operators[0].kind == "MEAN":
                raise MeasurementError("the runtime crashed on this model")
            return super().time(job)

    assert fill(table, Crashing(), graph, layers, CACHES) == {victim}
    assert len(table) == len({CALL} | layers.keys()) - 1
    assert f"{victim} cannot be measured: the runtime crashed on this model" in caplog.text


def test_batches_before_an_interruption_are_kept(table, graph, layers):
    class Interrupted(FakeMeter):
        def time(self, job: Job) -> Reading:
            if len(self.jobs) == PASSES * 32 + 8:
                raise KeyboardInterrupt
            return super().time(job)

    many = {f"{name} {number}": layer for number in range(3) for name, layer in layers.items()}
    with pytest.raises(KeyboardInterrupt):
        fill(table, Interrupted(), graph, many, CACHES)
    assert len(table) == len({CALL}) + 32


def test_a_layer_stands_side_by_side_as_often_as_makes_the_networks_weights():
    caches = Caches(constant_bytes=17 << 20)
    assert caches.instances(weight_bytes=4 << 20, output_bytes=4000) == 4
    assert caches.instances(weight_bytes=20 << 20, output_bytes=4000) == 1
    assert caches.instances(weight_bytes=1 << 10, output_bytes=4000) == 32
    assert caches.instances(weight_bytes=1 << 10, output_bytes=100 << 10) == 2
    assert caches.instances(weight_bytes=1 << 10, output_bytes=1 << 20) == 1
    assert caches.instances(weight_bytes=0, output_bytes=0) == 32


def test_networks_of_like_size_share_entries_and_others_do_not():
    assert str(Caches(17 << 20)) == str(Caches(20 << 20)) != str(Caches(15 << 20))


def test_a_machine_that_cannot_even_run_the_reference_is_said(table, graph, layers):
    class Dead(FakeMeter):
        def time(self, job: Job) -> Reading:
            raise MeasurementError("the runtime crashed on this model")

    with pytest.raises(UserError, match="reference network"):
        fill(table, Dead(), graph, layers, CACHES)


class InterruptedMeter(FakeMeter):
    """Everything takes `slow` times as long, or only the reference does; interrupted before a reading of a layer."""

    def __init__(self, layers_timed: int, slow: float = 1.0, reference_ms: float = 1.0):
        super().__init__(lambda call: slow * reference_ms)
        self._layers_timed = layers_timed
        self._slow = slow

    def time(self, job: Job) -> Reading:
        if job.tflite == reference_network():
            return super().time(job)
        if len(self.jobs) == self._layers_timed and job.tflite != almost_empty_model():
            raise KeyboardInterrupt
        return Reading(super().time(job).latency_ms * self._slow, 0, 0, 1)


def interrupted(table, graph, layers, meter: FakeMeter) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill(table, meter, graph, layers, CACHES)


def test_an_interrupted_batch_goes_on_with_references_of_its_own(table, graph, layers):
    timed = len(layers) + 3
    interrupted(table, graph, layers, InterruptedMeter(timed))
    meter = FakeMeter()
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == PASSES * len(layers) - timed
    assert len(meter.reference_jobs) >= 1 + 2 * 2  # at the beginning; around what was missing in two passes
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_readings_of_a_session_that_was_slower_are_not_believed(table, graph, layers):
    interrupted(table, graph, layers, InterruptedMeter(0))  # the call is measured
    interrupted(table, graph, layers, InterruptedMeter(2 * len(layers), slow=2.0))
    meter = FakeMeter()
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == PASSES * len(layers)
    assert not any(entry.flagged for entry in table.entries())
    for signature, layer in layers.items():
        assert table.latency_ms(signature) == pytest.approx(layer.macs / 1e6)


def test_references_of_an_interrupted_batch_do_not_vouch_for_another(table, graph, layers):
    names = sorted(layers)
    first, others = names[: len(names) // 2], names[len(names) // 2 :]
    interrupted(table, graph, {name: layers[name] for name in first}, InterruptedMeter(2))

    meter = InterruptedMeter(10**6, slow=2.0)
    fill(table, meter, graph, {name: layers[name] for name in others}, CACHES)
    assert len(meter.jobs) == 3 * PASSES * len(others)
    assert all(entry.flagged for entry in table.entries() if entry.signature != CALL)


def test_a_finished_try_survives_an_interruption_in_the_next(table, graph, layers):
    interrupted(table, graph, layers, InterruptedMeter(0))
    interrupted(table, graph, layers, InterruptedMeter(PASSES * len(layers) + 5, reference_ms=1.04))
    later = FakeMeter(lambda call: 1.5)
    fill(table, later, graph, layers, CACHES)
    assert len(later.jobs) == 2 * PASSES * len(layers)
    assert all(entry.drift == pytest.approx(0.04) for entry in table.entries() if entry.signature != CALL)


def test_a_reference_of_0_ms_is_refused(table, graph, layers):
    with pytest.raises(UserError, match="reference network takes 0 ms"):
        fill(table, FakeMeter(lambda call: 0.0), graph, layers, CACHES)


def test_entries_are_flagged_by_the_limit_that_was_in_force(table, graph, layers):
    first, second, *_ = layers
    fill(table, FakeMeter(lambda call: 1.0), graph, {first: layers[first]}, CACHES)
    fill(table, FakeMeter(lambda call: 1.04), graph, {second: layers[second]}, CACHES)
    assert {entry.signature: entry.flagged for entry in table.entries()} == {CALL: False, first: False, second: True}


class Phones(FakeMeter):
    """Several places, each so many times as slow as the first; notes what is timed where, in order."""

    def __init__(self, *slow):
        super().__init__(places=len(slow))
        self.slow = slow
        self.seen: list[tuple[int, bool]] = []  # place, and whether it was the reference network

    def time(self, job: Job) -> Reading:
        self.seen.append((job.place, job.tflite == reference_network()))
        return Reading(super().time(job).latency_ms * self.slow_now(job), 0, 0, 1)

    def slow_now(self, job: Job) -> float:
        return self.slow[job.place]


def test_every_layer_is_timed_in_several_places(table, graph, layers):
    meter = Phones(1.0, 1.0, 1.0)
    fill(table, meter, graph, layers, CACHES)
    places: dict[bytes, list[int]] = {}
    for job in meter.jobs:
        places.setdefault(job.tflite, []).append(job.place)
    assert len(meter.jobs) == PASSES * len(layers)
    assert all(sorted(where) == [0, 1, 2] for where in places.values())


def test_every_place_has_references_around_its_part_and_every_few_layers(table, graph, layers):
    meter = Phones(1.0, 1.0)
    fill(table, meter, graph, layers, CACHES)
    for place in (0, 1):
        order = "".join("R" if is_reference else "L" for where, is_reference in meter.seen if where == place)
        assert order.startswith("R")
        assert order.endswith("R")
        assert "L" * 9 not in order


def test_a_phone_that_is_slower_by_nature_is_no_drift(table, graph, layers):
    meter = Phones(1.0, 1.1)
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == PASSES * len(layers)
    assert not any(entry.flagged for entry in table.entries())


def test_a_phone_that_gets_slower_is_drift(table, graph, layers):
    class GettingSlower(Phones):
        def slow_now(self, job: Job) -> float:
            return 1.0 + (job.place == 1 and len(self.jobs) > len(layers))

    meter = GettingSlower(1.0, 1.0)
    fill(table, meter, graph, layers, CACHES)
    assert len(meter.jobs) == 2 * PASSES * len(layers)
