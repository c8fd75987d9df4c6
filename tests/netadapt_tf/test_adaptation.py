import dataclasses
import itertools
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import netadapt_tf
from netadapt_tf import AdaptedNetwork, Datasets, Metric, Place, Settings, UserError, adapt_network, adaptation
from netadapt_tf.delivery import Delivery
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.problem import Problem
from netadapt_tf.reporting.summary import Delivered, closing_table
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.iterate import Iterate
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.task import classification
from netadapt_tf.training.trainer import Trainer
from netadapt_tf.work import Work
from tests.fake_meter import FakeMeter
from tests.tiny_networks import randomised, tiny_cnn
from tflite_bench import runtime
from tflite_bench.target import parse_target

HERE = parse_target("host/cpu:1")
QUICK = Settings(initial_reduction=0.2, short_term_steps=2, long_term_epochs=1, filter_multiple=2)


def four_corners(count: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images whose bright corner tells their class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = generator.uniform(-1, 0, (count, 8, 8, 3)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 1
    return images, labels


def corner_datasets() -> Datasets:
    def part(seed: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(four_corners(seed=seed)).batch(16)

    return Datasets(train=lambda seed: part(0).shuffle(8, seed=seed), holdout=part(1), test=part(2))


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("adapted") / "run"
    network = tiny_cnn()
    before = network.get_weights()
    result = adapt_network(network, corner_datasets(), ["macs=60%"], run_dir, settings=QUICK)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new, "the caller's network was changed")
    return result


def test_python_gets_what_was_delivered(adapted):
    (budget,) = adapted.budgets
    assert budget.met
    assert budget.reached <= budget.asked
    assert adapted.widths == find_channels(adapted.network).widths
    assert adapted.widths != find_channels(tiny_cnn()).widths
    assert adapted.summary == json.loads((adapted.keras_path.parent / "summary.json").read_text())
    images, _ = four_corners(8, seed=2)
    answers = adapted.network(images).numpy()
    np.testing.assert_allclose(load_network(adapted.keras_path)(images), answers, atol=1e-6)
    np.testing.assert_allclose(runtime.outputs(adapted.tflite_path.read_bytes(), images), answers, atol=1e-4)


def test_a_finished_run_is_repeated_and_another_network_refused(adapted):
    run_dir = adapted.keras_path.parent
    again = adapt_network(tiny_cnn(), corner_datasets(), ["macs=60%"], run_dir, settings=QUICK)
    assert again.summary == adapted.summary
    by_loss = Metric("accuracy", tf_keras.metrics.SparseCategoricalCrossentropy, larger_is_better=False)
    with pytest.raises(UserError, match="larger_is_better"):
        adapt_network(tiny_cnn(), corner_datasets(), ["macs=60%"], run_dir, settings=QUICK, metric=by_loss)
    other = randomised(tiny_cnn(), seed=1)
    with pytest.raises(UserError, match="network_sha256"):
        adapt_network(other, corner_datasets(), ["macs=60%"], run_dir, settings=QUICK)


@pytest.mark.slow
def test_in_processes_the_same_network_is_found_and_the_directory_is_the_same_run_s(tmp_path, adapted):
    run_dir, two = tmp_path / "run", Place("processes", workers=2)
    arguments = tiny_cnn(), corner_datasets, ["macs=60%"], run_dir
    elsewhere = adapt_network(*arguments, settings=QUICK, place=two)
    assert (elsewhere.widths, elsewhere.metric) == (adapted.widths, adapted.metric)
    for a, b in zip(elsewhere.network.get_weights(), adapted.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert adapt_network(*arguments, settings=QUICK).summary == elsewhere.summary


def test_the_strategy_is_that_of_both_long_stages_and_part_of_the_request(tmp_path, monkeypatch):
    strategies = []
    real = adaptation.train

    def watched(*arguments: Any) -> None:
        *_, strategy = arguments
        strategies.append(strategy)
        real(*arguments)

    monkeypatch.setattr(adaptation, "train", watched)
    mirrored = dataclasses.replace(QUICK, pretrain_epochs=1, strategy="mirrored")
    arguments = tiny_cnn(), corner_datasets(), ["macs=80%"], tmp_path / "run"
    adapt_network(*arguments, settings=mirrored)
    assert [type(strategy) for strategy in strategies] == [tf.distribute.MirroredStrategy] * 2
    with pytest.raises(UserError, match="differs in strategy"):
        adapt_network(*arguments, settings=dataclasses.replace(mirrored, strategy="none"))


def test_a_network_that_answers_numbers_is_adapted_by_its_own_loss_and_metric(tmp_path):
    """Regression: how bright an image is; the error should be small."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(12, 3, activation="relu", name="a")(images)
    x = layers.Conv2D(12, 3, activation="relu", name="b")(x)
    network = tf_keras.Model(images, layers.Dense(1, name="brightness")(layers.GlobalAveragePooling2D()(x)))
    pixels = np.random.default_rng(0).uniform(-1, 1, (64, 1, 1, 3)).astype(np.float32) + np.zeros(
        (1, 8, 8, 1), np.float32
    )
    batches = tf.data.Dataset.from_tensor_slices((pixels, pixels.mean((1, 2, 3), keepdims=True)[:, 0, 0])).batch(16)
    before = network.get_weights()
    result = adapt_network(
        network,
        Datasets(batches, batches, batches),
        ["parameters=60%"],
        tmp_path / "run",
        loss=tf_keras.losses.MeanSquaredError(),
        metric=Metric("mean absolute error", tf_keras.metrics.MeanAbsoluteError, larger_is_better=False),
        settings=Settings(
            pretrain_epochs=20, initial_reduction=0.2, short_term_steps=4, long_term_epochs=20, filter_multiple=4
        ),
    )
    assert result.budgets[0].met
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new, "the caller's network was trained")
    assert result.metric["after"] < 0.5 * np.abs(pixels.mean((1, 2, 3))).mean(), "no better than answering zero"
    assert result.summary["metric"] == {"name": "mean absolute error", "larger_is_better": False}
    truth = np.abs(runtime.outputs(result.tflite_path.read_bytes(), pixels) - pixels.mean((1, 2, 3))[:, None]).mean()
    assert result.metric["after"] == pytest.approx(truth, rel=1e-4)


def test_interrupted_the_network_is_untouched_and_the_same_call_goes_on(tmp_path, adapted, monkeypatch):
    network, fit = tiny_cnn(), Trainer.fit

    def interrupted(*arguments, **more):
        fit(*arguments, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            adapt_network(network, corner_datasets(), ["macs=60%"], tmp_path / "run", settings=QUICK)
    assert (tmp_path / "run" / "start.tflite").exists()
    result = adapt_network(network, corner_datasets(), ["macs=60%"], tmp_path / "run", settings=QUICK)
    assert result.widths == adapted.widths


class FakeMeters:
    """Imagined devices, whichever are asked for."""

    def __init__(self, benchmark_models=()):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def of(self, target):
        return FakeMeter()


@pytest.mark.slow
def test_with_dropout_a_run_that_is_interrupted_again_and_again_ends_as_one_that_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("netadapt_tf.problem.Meters", FakeMeters)
    settings = dataclasses.replace(QUICK, pretrain_epochs=1)

    def adapt(run: str) -> AdaptedNetwork:
        network = tiny_cnn(dropout=0.5)
        return adapt_network(network, corner_datasets(), ["macs=60%"], tmp_path / run, settings=settings)

    whole, fit, result = adapt("whole"), Trainer.fit, None
    fits = itertools.count(1)

    def interrupted(*arguments, **more):
        if next(fits) in (3, 7, 10):  # the second proposals of both iterations, and the long-term fine-tune
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    monkeypatch.setattr(Trainer, "fit", interrupted)
    interruptions = 0
    while result is None:
        try:
            result = adapt("parts")
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions == 3
    assert journal_of(tmp_path / "parts") == journal_of(tmp_path / "whole")
    for one, other in zip(result.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def journal_of(run_dir) -> list[dict]:
    """What was found out, in the order of the search, without how long it took."""
    journal = Journal(run_dir / "journal.jsonl")
    return [
        {key: value for key, value in record.items() if key != "wall_s"}
        for event in ("proposal", "iteration", "long_term")
        for record in journal.events(event)
    ]


class Twice(tf_keras.layers.Layer):
    """A layer of the user's own, which Keras does not know."""

    def call(self, x):
        return 2.0 * x


@pytest.mark.parametrize(
    "own", [lambda: tf_keras.layers.Lambda(lambda x: 2.0 * x), pytest.param(Twice, marks=pytest.mark.slow)]
)
def test_networks_with_code_of_their_own_need_to_be_allowed(tmp_path, own):
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, activation="relu", name="a")(own()(images))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu", name="b")(x))
    network = tf_keras.Model(images, layers.Dense(4, activation="softmax")(x))
    call = (network, corner_datasets(), ["macs=60%"], tmp_path / "run")
    with pytest.raises(UserError, match="allow_lambda"):
        adapt_network(*call, settings=QUICK)
    assert not (tmp_path / "run").exists()
    settings = dataclasses.replace(QUICK, short_term_steps=1)
    result = adapt_network(*call, settings=settings, allow_lambda=True)
    assert result.budgets[0].met
    assert adapt_network(*call, settings=settings, allow_lambda=True).summary == result.summary
    with pytest.raises(UserError, match="allow_lambda"):
        adapt_network(*call, settings=settings)


@pytest.mark.slow
def test_retraining_begins_with_fresh_weights(tmp_path, adapted):
    settings = dataclasses.replace(QUICK, final="retrain", long_term_learning_rate=0.0)
    fresh = adapt_network(tiny_cnn(), corner_datasets(), ["macs=60%"], tmp_path / "run", settings=settings)
    assert fresh.widths == adapted.widths
    assert fresh.summary["final"] == "retrain"
    searched = load_network(tmp_path / "run" / "iterations" / f"{fresh.summary['iterations']:03d}" / "network.keras")
    kernels = (network.get_layer("first").get_weights()[0] for network in (fresh.network, searched))
    assert np.abs(np.subtract(*kernels)).max() > 0.05
    assert np.all(fresh.network.get_layer("classifier").get_weights()[1] == 0), "a bias that was not initialised anew"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budgets": "macs=60%"}, "list of one budget or more"),
        ({"budgets": []}, "list of one budget or more"),
        ({"budgets": ["macs=60%", "macs=1M"]}, "both about macs"),
        ({"budgets": ["macs=1%"]}, "cannot be reached"),
        ({"budgets": ["macs=60%", "tflite_bytes=1%"]}, "budget tflite_bytes=1% cannot be reached"),
        ({"budgets": ["macs=1%", "parameters=1%"]}, "; budget parameters=1% cannot be reached"),
        ({"network": None}, "the network"),
        ({"network": "tiny.keras"}, "the network"),
        ({"identity": {"seed": 3}}, "identity takes seed"),
        ({"identity": {"data": {1, 2}}}, "JSON"),
        ({"datasets": Datasets(np.zeros(3), np.zeros(3), np.zeros(3))}, "data set holdout is a ndarray"),
        ({"settings": dataclasses.replace(QUICK, filters="bn_scale")}, "second is not: choose another criterion"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, change, said):
    asked = {
        **{"network": tiny_cnn(), "datasets": corner_datasets(), "budgets": ["macs=60%"], "settings": QUICK},
        "run_dir": tmp_path / "run",
    }
    with pytest.raises(UserError) as error:
        adapt_network(**(asked | change))
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()


TWO = ["macs=60%", "tflite_bytes=80%"]


@pytest.fixture(scope="module")
def adapted_to_two(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("two") / "run"
    return adapt_network(tiny_cnn(), corner_datasets(), TWO, run_dir, settings=QUICK)


def iterations_of(run_dir) -> list[dict]:
    return list(Journal(run_dir / "journal.jsonl").events("iteration"))


def test_two_budgets_are_both_met_by_what_is_delivered(adapted_to_two):
    macs, size = adapted_to_two.budgets
    assert [macs.budget, size.budget] == TWO
    assert macs.met
    assert size.met
    summary = adapted_to_two.summary
    assert macs.reached == summary["macs"]["after"] <= 0.6 * summary["macs"]["before"]
    start = adapted_to_two.tflite_path.with_name("start.tflite").stat().st_size
    assert size.reached == adapted_to_two.tflite_path.stat().st_size <= 0.8 * start
    assert list(summary["latency_ms"]) == list(summary["target"]) == ["host/cpu:1"]
    text = closing_table(summary, adapted_to_two.tflite_path.parent)
    assert all(f"budget {budget}: met; at most" in text for budget in TWO)
    again = adapt_network(tiny_cnn(), corner_datasets(), TWO[::-1], adapted_to_two.tflite_path.parent, settings=QUICK)
    assert again.summary == summary


def test_a_budget_once_met_is_never_broken(adapted_to_two):
    before, *records = iterations_of(adapted_to_two.tflite_path.parent)
    limits = {"macs": 0.6 * before["measured"]["macs"], "tflite_bytes": 0.8 * before["measured"]["tflite_bytes"]}
    worked_for = {name for record in records for name in record["constraint"]}
    assert len(worked_for) == 2, "the case was not met with"
    for record in records:
        for name, limit in limits.items():
            assert before["measured"][name] > limit or record["measured"][name] <= limit
        before = record


def test_the_journal_knows_what_every_iteration_costs(adapted_to_two):
    records = iterations_of(adapted_to_two.tflite_path.parent)
    summary = adapted_to_two.summary
    for record, when in ((records[0], "before"), (records[-1], "after")):
        for name in ("macs", "parameters"):
            assert record[name] == summary[name][when]
        assert record["tflite_bytes"] == pytest.approx(summary["tflite_bytes"][when], rel=0.05)
        assert record["measured"] == {"macs": record["macs"], "tflite_bytes": record["tflite_bytes"]}


@pytest.mark.slow
def test_with_two_budgets_the_same_call_goes_on_and_lower_ones_do(tmp_path, adapted_to_two, monkeypatch):
    run_dir, fit = tmp_path / "run", Trainer.fit
    calls = itertools.count(1)

    def interrupted(*arguments, **more):
        if next(calls) == 4:
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            adapt_network(tiny_cnn(), corner_datasets(), TWO, run_dir, settings=QUICK)
    result = adapt_network(tiny_cnn(), corner_datasets(), TWO, run_dir, settings=QUICK)
    whole = iterations_of(adapted_to_two.tflite_path.parent)
    parts = iterations_of(run_dir)
    for record in [*whole, *parts]:
        del record["wall_s"]
    assert parts == whole
    assert result.widths == adapted_to_two.widths
    lower = adapt_network(tiny_cnn(), corner_datasets(), [TWO[0], "tflite_bytes=75%"], run_dir, settings=QUICK)
    assert all(budget.met for budget in lower.budgets)
    assert lower.summary["iterations"] > result.summary["iterations"]
    with pytest.raises(UserError, match="only the same ones"):
        adapt_network(tiny_cnn(), corner_datasets(), ["macs=50%"], run_dir, settings=QUICK)


def test_latency_on_two_targets_is_measured_on_each(tmp_path, monkeypatch):
    class Slower(FakeMeter):
        """A target where everything takes twice as long."""

        def fingerprint(self):
            return {"cpu": "slower"}

        def compare(self, pair):
            compared = super().compare(pair)
            return dataclasses.replace(compared, first_ms=2 * compared.first_ms, second_ms=2 * compared.second_ms)

    class TwoMeters(FakeMeters):
        def __init__(self, benchmark_models=()):
            opened_with.append(benchmark_models)

        def of(self, target):
            return Slower() if target.threads == 2 else FakeMeter()

    opened_with: list[tuple[str, ...]] = []
    monkeypatch.setattr("netadapt_tf.problem.Meters", TwoMeters)
    budgets = ["latency@host/cpu:2=80%", "latency@host/cpu:1=75%"]
    result = adapt_network(
        tiny_cnn(), corner_datasets(), budgets, tmp_path / "run", settings=QUICK, benchmark_models=["arm64-v8a:here"]
    )
    assert opened_with == [("arm64-v8a:here",)]
    assert all(budget.met for budget in result.budgets)
    summary = result.summary
    assert {place: fingerprint["cpu"] for place, fingerprint in summary["target"].items()} == {
        "host/cpu:2": "slower",
        "host/cpu:1": "imagined",
    }
    both = summary["latency_ms"]
    for when in ("before", "after", "predicted_after"):
        assert both["host/cpu:2"][when] == pytest.approx(2 * both["host/cpu:1"][when], rel=0.05)
    for record in iterations_of(tmp_path / "run"):
        assert record["predicted"].keys() == record["measured"].keys() == record["spread"].keys()
        assert set(record["measured"]) == {"latency@host/cpu:1", "latency@host/cpu:2"}
        ratio = record["measured"]["latency@host/cpu:2"] / record["measured"]["latency@host/cpu:1"]
        assert ratio == pytest.approx(2.0), "one target's budget was measured on the other"


def test_the_packages_names_are_there():
    for name in netadapt_tf.__all__:
        assert getattr(netadapt_tf, name).__name__ == name
    with pytest.raises(AttributeError, match="adapt_netwrok"):
        netadapt_tf.adapt_netwrok  # noqa: B018


def searched(
    monkeypatch, delivered: list[float], reachable: float = 0.0, budget_text: str = "60%", iterations: int = 1
) -> list[float]:
    """The limits that searches are given for a start that costs 100, when the delivered files cost `delivered`."""
    asked = [f"latency@host/cpu:1={budget_text}", "macs=50%"]
    limits, limits_of_macs = zip(*searched_for(monkeypatch, asked, delivered, reachable, iterations), strict=True)
    assert set(limits_of_macs) == {50.0}
    return list(limits)


def searched_for(
    monkeypatch,
    budget_texts: list[str],
    delivered_ms: list[float],
    reachable_ms: float = 0.0,
    iterations: int = 1,
    delivered_macs: int = 40,
) -> list[list[float]]:
    """The limits, by budget, that searches are given for a start that costs 100 of everything."""
    limits: list[list[float]] = []
    budgets = parse_budgets(budget_texts)

    class FakeSearch:
        def __init__(self, goals, *_):
            self._goals = goals
            limits.append([goal.limit for goal in goals])

        def run(self, start):
            costs = {
                goal.name: Measurement(100.0, max(reachable_ms if "ms" in goal.resource.unit else 0, 0.99 * goal.limit))
                for goal in self._goals
            }
            return Iterate(iterations * len(limits), nothing, nothing, 0.5, costs)

    costs_ms = iter(delivered_ms)
    nothing: Any = None
    monkeypatch.setattr(adaptation, "Search", FakeSearch)
    beginning = Iterate(0, nothing, nothing, 0.9, {budget.name: Measurement(100.0, 100.0) for budget in budgets})
    monkeypatch.setattr(adaptation, "_measured_start", lambda *_: beginning)
    monkeypatch.setattr(adaptation, "_last_stage", lambda *_: None)

    def delivered(*_):
        after = Delivered(0, delivered_macs, 0, {HERE: next(costs_ms)})
        return Delivery(nothing, nothing, b"", Delivered(0, 100, 0, {HERE: 100.0}), after)

    monkeypatch.setattr(adaptation, "delivery", delivered)
    problem = Problem(
        tiny_cnn(), find_channels(tiny_cnn()), nothing, classification(tiny_cnn()), budgets, Settings(), nothing
    )
    work = Work(problem, nothing, Stopwatch())
    start: Any = SimpleNamespace(widths={}, deployed=None)
    resources = {budget.name: SimpleNamespace(unit="ms" if budget.target else "MACs") for budget in budgets}
    adaptation._adapt_within_budgets(work, start, SimpleNamespace(budgeted=resources, latency=None, counted=None))  # type: ignore[arg-type]
    return limits


def test_the_delivered_file_has_the_last_word(monkeypatch):
    assert searched(monkeypatch, [59.0]) == [60.0]
    assert searched(monkeypatch, [63.0, 60.0]) == pytest.approx([60.0, 60 * 60 / 63])


def test_the_delivered_file_has_the_last_word_for_every_budget(monkeypatch):
    asked = ["latency@host/cpu:1=60%", "macs=30%"]
    limits = searched_for(monkeypatch, asked, [59.0, 63.0, 59.0], delivered_macs=30)
    assert limits == [[60.0, 30.0]], "nothing was missed"
    limits = searched_for(monkeypatch, asked, [63.0, 59.0], delivered_macs=30)
    assert limits == [[60.0, 30.0], [pytest.approx(60 * 60 / 63), 30.0]]
    limits = searched_for(monkeypatch, ["macs=30%", "latency@host/cpu:1=60%"], [63.0, 59.0], delivered_macs=30)
    assert limits == [[30.0, 60.0], [30.0, pytest.approx(60 * 60 / 63)]]


def test_a_file_over_budget_by_a_hair_is_cut_once_more(monkeypatch):
    limits = searched(monkeypatch, [60.001, 59.9])
    assert limits[1] < 0.99 * limits[0], "what was found would meet the new limit, and nothing would be done"


def test_where_nothing_more_can_be_saved_it_ends(monkeypatch):
    assert searched(monkeypatch, [80.0], reachable=75.0) == [60.0]


def test_a_start_that_turns_out_slower_than_an_absolute_budget_is_cut_after_all(monkeypatch):
    assert len(searched(monkeypatch, [100.2, 99.0], budget_text="100ms", iterations=0)) == 2


@pytest.mark.slow
def test_a_start_within_budget_is_delivered_as_it_is(tmp_path):
    result = adapt_network(tiny_cnn(), corner_datasets(), ["latency@host/cpu:1=100%"], tmp_path / "run", settings=QUICK)
    assert result.summary["iterations"] == 0
    assert result.budgets[0].met
    assert result.tflite_path.read_bytes() == (tmp_path / "run" / "start.tflite").read_bytes()


def test_the_last_stage_of_an_earlier_iteration_is_not_taken_from_a_later_ones_file(tmp_path):
    cnn = tiny_cnn()
    run = RunDirectory(tmp_path, {}, parse_budgets(["macs=40%"]))
    problem = SimpleNamespace(settings=Settings(long_term_epochs=0))
    work: Any = SimpleNamespace(run=run, problem=problem, clock=Stopwatch())
    with run.claimed():
        for iteration in (2, 1):  # the journal is cut back to 1 after 2 has overwritten the file
            for weight in cnn.weights:
                weight.assign(tf.fill(weight.shape, float(iteration)))
            found: Any = SimpleNamespace(iteration=iteration, network=cnn)
            run.journal.append("long_term", iteration=1, sha256="of a file that was overwritten")
            adapted = adaptation._last_stage(work, found)
            assert adapted.get_weights()[0].flat[0] == iteration
            assert run.is_done("long_term", iteration, "adapted.keras")
