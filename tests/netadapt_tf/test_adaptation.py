import dataclasses
import itertools
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.core.util.event_pb2 import Event

import netadapt_tf
from netadapt_tf import (
    AdaptedNetwork,
    Datasets,
    Metric,
    Place,
    Settings,
    UserError,
    adapt_network,
    beginning,
    delivery,
    mid_term,
)
from netadapt_tf.networks.files import load_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.stages import evaluate
from netadapt_tf.training.task import classification
from netadapt_tf.training.teacher import Teacher
from netadapt_tf.training.trainer import Trainer
from tests.tiny_adaptation import QUICK, FakeMeters, corner_datasets, four_corners
from tests.tiny_networks import randomised, tiny_cnn
from tflite_bench import runtime


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
@pytest.mark.parametrize("executor", ["processes", "ray"])
def test_with_a_filled_table_other_executors_deliver_the_same_file(tmp_path, monkeypatch, executor):
    monkeypatch.setattr("netadapt_tf.problem.Meters", FakeMeters)

    def adapt(run: str, place: Place | None = None) -> AdaptedNetwork:
        how: dict[str, Any] = {"settings": QUICK, "table": tmp_path / "table.sqlite", "place": place}
        return adapt_network(tiny_cnn(), corner_datasets, ["latency@host/cpu:1=75%"], tmp_path / run, **how)

    serial, elsewhere = adapt("serial"), adapt("elsewhere", Place(executor, workers=2))
    journals = [sorted(journal_of(tmp_path / run), key=str) for run in ("serial", "elsewhere")]
    assert journals[0] == journals[1], "but for which proposal was ready first"
    assert elsewhere.tflite_path.read_bytes() == serial.tflite_path.read_bytes()
    assert adapt("elsewhere").summary == elsewhere.summary, "the directory is the same run's"


def test_machines_that_were_not_joined_are_missed_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    settings = dataclasses.replace(QUICK, strategy="multi_worker")
    with pytest.raises(UserError, match="multi_worker is for the command netadapt"):
        adapt_network(tiny_cnn(), corner_datasets(), ["macs=80%"], tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_strategy_is_that_of_both_long_stages_and_part_of_the_request(tmp_path, monkeypatch):
    strategies = []
    real = delivery.train

    def watched(*arguments: Any) -> None:
        strategies.append(arguments[8])
        real(*arguments)

    for module in (beginning, delivery):
        monkeypatch.setattr(module, "train", watched)
    mirrored = dataclasses.replace(QUICK, pretrain_epochs=1, strategy="mirrored")
    arguments = tiny_cnn(), corner_datasets(), ["macs=80%"], tmp_path / "run"
    adapt_network(*arguments, settings=mirrored)
    assert [type(strategy) for strategy in strategies] == [tf.distribute.MirroredStrategy] * 2
    with pytest.raises(UserError, match="differs in strategy"):
        adapt_network(*arguments, settings=dataclasses.replace(mirrored, strategy="none"))


@pytest.mark.slow
@pytest.mark.parametrize("change", [{}, {"final": "retrain"}, {"distillation": 0.0}])
def test_the_starting_network_teaches_the_last_stage_and_no_other(tmp_path, monkeypatch, change):
    teachers: list[Teacher | None] = []
    real = beginning.train

    def watched(*arguments: Any) -> None:
        teachers.append(arguments[9] if len(arguments) > 9 else None)
        real(*arguments)

    for module in (beginning, delivery):
        monkeypatch.setattr(module, "train", watched)
    settings = dataclasses.replace(QUICK, pretrain_epochs=1, **change)
    adapt_network(tiny_cnn(), corner_datasets(), ["macs=80%"], tmp_path / "run", settings=settings)
    before, last = teachers
    assert before is None
    if not settings.distillation:
        assert last is None
        return
    assert last is not None
    assert last.share == settings.distillation == 0.5
    trained = load_network(tmp_path / "run/iterations/000/network.keras").get_weights()
    for own, kept in zip(last.network.get_weights(), trained, strict=True):
        np.testing.assert_array_equal(own, kept)


@pytest.mark.slow
def test_of_a_loss_of_your_own_no_teacher_is_known_and_that_is_said(tmp_path, monkeypatch, caplog):
    teachers = []
    monkeypatch.setattr(delivery, "train", lambda *arguments: teachers.append(arguments[9]))
    loss = tf_keras.losses.SparseCategoricalCrossentropy()
    with caplog.at_level("INFO", logger="absl"):
        adapt_network(tiny_cnn(), corner_datasets(), ["macs=80%"], tmp_path / "run", loss=loss, settings=QUICK)
    assert teachers == [None]
    assert "learns from targets alone, without a teacher" in caplog.text


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_with_dropout_a_run_that_is_interrupted_again_and_again_ends_as_one_that_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("netadapt_tf.problem.Meters", FakeMeters)
    settings = dataclasses.replace(QUICK, pretrain_epochs=1, mid_term_epochs=2)

    def adapt(run: str) -> AdaptedNetwork:
        network = tiny_cnn(dropout=0.5)
        return adapt_network(network, corner_datasets(), ["macs=60%"], tmp_path / run, settings=settings)

    fit, result, interruptions = Trainer.fit, None, 0
    done, interrupted_at = itertools.count(1), set[int]()

    def interrupted(*arguments, **more):
        if next(done) in interrupted_at:
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    monkeypatch.setattr(Trainer, "fit", interrupted)
    whole = adapt("whole")
    fits, done = next(done) - 1, itertools.count(1)
    # The second proposal and the second mid-term epoch of an iteration, the first of another, the last stage.
    interrupted_at = {3, 6, 10, 13}
    while result is None:
        try:
            result = adapt("parts")
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions == 4
    assert next(done) - 1 == fits + interruptions, "something that was finished was trained again"
    assert journal_of(tmp_path / "parts") == journal_of(tmp_path / "whole")
    for one, other in zip(result.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_what_an_iteration_picks_recovers_before_the_next_one_begins(tmp_path, monkeypatch):
    stages = []
    real = mid_term.train

    def watched(network: tf_keras.Model, task: Any, dataset: Any, *others: Any) -> None:
        before = network.get_weights()
        real(network, task, dataset, *others)
        stages.append((before, network.get_weights(), dataset, others))

    monkeypatch.setattr(mid_term, "train", watched)
    everything = corner_datasets()
    data = dataclasses.replace(everything, full_train=lambda seed: everything.holdout)
    settings = dataclasses.replace(QUICK, mid_term_epochs=1)
    adapt_network(tiny_cnn(), data, ["macs=60%"], tmp_path / "run", settings=settings)
    records = list(Journal(tmp_path / "run" / "journal.jsonl").events("iteration"))[1:]
    assert len(records) == len(stages) > 1
    for record, (before, after, dataset, others) in zip(records, stages, strict=True):
        assert dataset is data.train
        assert others[1:3] == (settings.mid_term_epochs, settings.mid_term_learning_rate)
        assert any((old != new).any() for old, new in zip(before, after, strict=True))
        kept = load_network(tmp_path / "run" / f"iterations/{record['iteration']:03d}/network.keras")
        for own, new in zip(kept.get_weights(), after, strict=True):
            np.testing.assert_array_equal(own, new)
        assert record["accuracy"] == evaluate(kept, classification(kept), data.holdout)
        assert "mid_term" in record["wall_s"]
    picked = {(r["iteration"], r["group"]): r["accuracy"] for r in journal_of(tmp_path / "run") if "group" in r}
    assert any(r["accuracy"] != picked[r["iteration"], r["picked"]] for r in records), "training changed nothing"
    assert len({others[0] for *_, others in stages}) == len(stages), "each has a seed of its own"
    assert not list((tmp_path / "run").glob("*.checkpoint.npz"))


@pytest.mark.slow
def test_where_the_mid_term_fine_tune_diverges_the_search_goes_on_with_what_was_picked(tmp_path, caplog):
    settings = dataclasses.replace(QUICK, mid_term_epochs=1, mid_term_learning_rate=1e39)
    result = adapt_network(tiny_cnn(), corner_datasets(), ["macs=60%"], tmp_path / "run", settings=settings)
    assert result.budgets[0].met
    assert "Iteration 1 goes on without its mid-term fine-tune: mid-term fine-tune diverges: in epoch 1" in caplog.text
    picked = {(r["iteration"], r["group"]): r["accuracy"] for r in journal_of(tmp_path / "run") if "group" in r}
    for record in Journal(tmp_path / "run" / "journal.jsonl").events("iteration"):
        if record["iteration"]:
            assert record["accuracy"] == picked[record["iteration"], record["picked"]]
            kept = load_network(tmp_path / "run" / f"iterations/{record['iteration']:03d}/network.keras")
            assert all(np.isfinite(weights).all() for weights in kept.get_weights())


def journal_of(run_dir) -> list[dict]:
    """What was found out, in the order of the search, without how long it took, and digests of files with a date."""
    journal = Journal(run_dir / "journal.jsonl")
    return [
        {key: value for key, value in record.items() if key not in ("wall_s", "sha256")}
        for event in ("proposal", "iteration", "long_term")
        for record in journal.events(event)
    ]


class Twice(tf_keras.layers.Layer):
    """A layer of the user's own, which Keras does not know."""

    def call(self, x):
        return 2.0 * x


@pytest.mark.slow
@pytest.mark.parametrize("own", [lambda: tf_keras.layers.Lambda(lambda x: 2.0 * x), Twice])
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


def test_the_packages_names_are_there():
    for name in netadapt_tf.__all__:
        assert getattr(netadapt_tf, name).__name__ == name
    with pytest.raises(AttributeError, match="adapt_netwrok"):
        netadapt_tf.adapt_netwrok  # noqa: B018


def test_the_last_stage_of_an_earlier_iteration_is_not_taken_from_a_later_ones_file(tmp_path):
    cnn = tiny_cnn()
    run = RunDirectory(tmp_path, {}, parse_budgets(["macs=40%"]))
    problem = SimpleNamespace(settings=Settings(long_term_epochs=0))
    work: Any = SimpleNamespace(into=run, problem=problem, clock=Stopwatch())
    with run.claimed():
        for iteration in (2, 1):  # the journal is cut back to 1 after 2 has overwritten the file
            for weight in cnn.weights:
                weight.assign(tf.fill(weight.shape, float(iteration)))
            found: Any = SimpleNamespace(iteration=iteration, network=cnn)
            start: Any = SimpleNamespace(network=cnn)
            run.journal.append("long_term", iteration=1, sha256="of a file that was overwritten")
            adapted = delivery.last_stage(work, start, found)
            assert adapted.get_weights()[0].flat[0] == iteration
            assert run.is_done("long_term", iteration, "adapted.keras")


@pytest.mark.slow
def test_the_report_is_written_and_is_no_reason_to_lose_a_run(tmp_path, monkeypatch, caplog):
    """Of a budget on latency, so that it has all sections; imagined milliseconds."""
    monkeypatch.setattr("netadapt_tf.problem.Meters", FakeMeters)
    run_dir = tmp_path / "run"
    arguments = tiny_cnn(), corner_datasets(), ["latency@host/cpu:1=70%"], run_dir

    def broken(*_: object) -> None:
        raise ZeroDivisionError("no report")

    with monkeypatch.context() as patch:
        patch.setattr("netadapt_tf.reporting.report.html_of", broken)
        patch.setattr("netadapt_tf.reporting.keeping.layers_record", broken)
        first = adapt_network(*arguments, settings=QUICK)
    assert first.budgets[0].met
    assert "The report is not written (no report)" in caplog.text
    assert "layers.json is not written (no report)" in caplog.text
    assert not (run_dir / "report.html").exists()
    adapt_network(*arguments, settings=QUICK, tensorboard=True)
    assert "The budget is met" in (run_dir / "report.html").read_text()
    assert (run_dir / "tensorboard").exists()


def test_a_run_keeps_what_its_report_shows(tmp_path, monkeypatch):
    monkeypatch.setattr("netadapt_tf.problem.Meters", FakeMeters)
    run_dir = tmp_path / "run"
    result = adapt_network(
        tiny_cnn(), corner_datasets(), ["latency@host/cpu:1=70%"], run_dir, settings=QUICK, tensorboard=True
    )
    (layers,) = json.loads((run_dir / "layers.json").read_text()).values()
    latencies = [layer[side]["latency_ms"] for side in ("before", "after") for layer in layers["layers"]]
    assert None not in latencies
    assert {stair["group"]: stair["after"] for stair in layers["staircases"]}.items() <= dict(result.widths).items()
    assert layers["staircases"]
    assert all(None not in stair["latency_ms"] for stair in layers["staircases"])
    page = (run_dir / "report.html").read_text()
    assert "Staircases" in page
    assert "Latency by layer" in page
    steps = {
        Event.FromString(raw.numpy()).step
        for path in (run_dir / "tensorboard").iterdir()
        for raw in tf.data.TFRecordDataset(str(path))
    }
    assert steps == set(range(result.summary["iterations"] + 1))
