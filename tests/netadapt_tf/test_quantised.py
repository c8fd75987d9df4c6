"""Adaptations to the numbers that networks ship in, from start to end."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf import Datasets, Settings, UserError, adapt_network, delivery
from netadapt_tf.reporting.summary import closing_table
from netadapt_tf.search.journal import Journal
from netadapt_tf.training.calibration import calibration_images
from netadapt_tf.training.quantization_aware import check_quantizable, trained_quantization_aware
from netadapt_tf.training.task import classification
from tests.sweep import with_sweep
from tests.tiny_adaptation import QUICK, corner_datasets, four_corners
from tests.tiny_networks import tiny_cnn
from tflite_bench import runtime
from tflite_bench.convert import convert
from tflite_bench.graph import Graph

INT8 = dataclasses.replace(QUICK, precision="int8", calibration_images=32)
ROUNDING = dataclasses.replace(INT8, quantization_aware_epochs=1)


def adapted(run_dir, settings: Settings, datasets: Datasets | None = None, budget: str = "macs=60%"):
    return adapt_network(tiny_cnn(), datasets or corner_datasets(), [budget], run_dir, settings=settings)


def types_of(tflite: bytes) -> tuple[str, str]:
    graph = Graph(tflite)
    return graph.type_name(graph.inputs[0]), graph.type_name(graph.outputs[0])


def types_within(tflite: bytes) -> set[str]:
    """Of all that is computed."""
    graph = Graph(tflite)
    return {graph.type_name(index) for operator in graph.operators for index in operator.outputs}


def accuracy_of(tflite: bytes) -> float:
    images, labels = four_corners(seed=2)
    return float((runtime.outputs(tflite, images).argmax(-1) == labels).mean())


@pytest.mark.slow
@pytest.mark.parametrize("precision", with_sweep(["float16", "dynamic", "int8"], ["int8"]))
def test_what_is_delivered_is_of_the_precision_that_was_asked_for(tmp_path, precision):
    result = adapted(tmp_path / "run", dataclasses.replace(INT8, precision=precision))
    delivered = result.tflite_path.read_bytes()
    expected = "int8" if precision == "int8" else "float32"
    for tflite in ((tmp_path / "run" / "start.tflite").read_bytes(), delivered):
        assert types_of(tflite) == (expected, expected)
    assert result.budgets[0].met
    assert result.summary["precision"] == precision
    assert result.summary["accuracy"]["after"] == pytest.approx(accuracy_of(delivered))
    unrounded = convert(result.network)
    assert result.summary["float32_accuracy"]["after"] == pytest.approx(accuracy_of(unrounded))
    table = closing_table(result.summary, tmp_path / "run")
    assert "before rounding, float32" in table


@pytest.mark.slow
def test_in_float32_nothing_is_said_of_rounding(tmp_path):
    result = adapted(tmp_path / "run", QUICK)
    assert "float32_accuracy" not in result.summary
    assert "rounding" not in closing_table(result.summary, tmp_path / "run")


@pytest.mark.slow
def test_quantisation_aware_training_is_done_once_and_shipped(tmp_path, monkeypatch):
    measured = delivery.Delivered

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery, "Delivered", interrupted)
    with pytest.raises(KeyboardInterrupt):
        adapted(tmp_path / "run", ROUNDING)
    trained = (tmp_path / "run" / "adapted.tflite").read_bytes()

    def again(*_, **__):
        raise AssertionError("it is trained twice")

    monkeypatch.setattr(delivery, "Delivered", measured)
    monkeypatch.setattr(delivery, "trained_quantization_aware", again)
    result = adapted(tmp_path / "run", ROUNDING)
    assert result.tflite_path.read_bytes() == trained
    assert types_of(trained) == ("int8", "int8")
    assert types_within(trained) == {"int8"}
    assert result.budgets[0].met
    assert result.summary["wall_s"]["quantization_aware"] > 0
    assert len(list(Journal(tmp_path / "run" / "journal.jsonl").events("quantization_aware"))) == 1


@pytest.mark.slow
def test_what_is_learnt_with_rounding_is_in_the_file_and_the_network_as_it_was():
    network, datasets = tiny_cnn(), corner_datasets()
    before = network.get_weights()
    aware = trained_quantization_aware(network, classification(network), datasets.train, 0, 20, 0.05)
    rounded = convert(aware, "int8")
    assert types_of(rounded) == ("int8", "int8")
    images, _ = four_corners(seed=2)
    assert accuracy_of(rounded) > 0.7 > accuracy_of(convert(network)) + 0.2
    np.testing.assert_allclose(runtime.outputs(rounded, images), aware(images), atol=0.03)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_layer_that_cannot_be_trained_so_is_named_before_anything_is_done(tmp_path):
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.GaussianNoise(0.1, name="noise")(layers.Conv2D(8, 1, name="first")(images))
    network = tf_keras.Model(images, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(UserError, match=r"layer noise \(GaussianNoise\).*--quantization_aware_epochs=0"):
        adapt_network(network, corner_datasets(), ["macs=60%"], tmp_path / "run", settings=ROUNDING)
    assert not (tmp_path / "run").exists()


def in_a_row(*between: tf_keras.layers.Layer) -> tf_keras.Model:
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = images
    for layer in between:
        x = layer(x)
    return tf_keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    ("make", "known"),
    [
        (lambda layers: (layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(6.0)), True),
        (lambda layers: (layers.DepthwiseConv2D(3), layers.BatchNormalization()), True),
        (lambda layers: (layers.SeparableConv2D(4, 3), layers.BatchNormalization()), True),
        (lambda layers: (layers.Conv2DTranspose(4, 3), layers.BatchNormalization()), True),
        (lambda layers: (layers.BatchNormalization(), layers.Conv2D(4, 3)), False),
        (lambda layers: (layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()), False),
        (lambda layers: (layers.Conv2D(4, 3), layers.ReLU(), layers.BatchNormalization()), False),
        (lambda layers: (layers.Conv2D(4, 3), layers.PReLU()), False),
        (lambda layers: (layers.Rescaling(2.0), layers.Conv2D(4, 3)), False),
    ],
)
def test_it_is_known_beforehand_what_can_be_wrapped(make, known):
    from tensorflow_model_optimization.quantization.keras import quantize_model

    for wrap, refusal in ((quantize_model, RuntimeError), (check_quantizable, UserError)):
        network = in_a_row(*make(tf_keras.layers))
        if known:
            wrap(network)
        else:
            with pytest.raises(refusal):
                wrap(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2", "ResNet50"])
def test_well_known_networks_can_be_trained_so(name):
    check_quantizable(getattr(tf_keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10))


@pytest.mark.slow
@pytest.mark.sweep
def test_resnet50_is_trained_so_to_the_end():
    network = tf_keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=4)
    images = np.random.default_rng(0).uniform(-1, 1, (16, 32, 32, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(16) % 4)).batch(8)
    aware = trained_quantization_aware(network, classification(network), dataset, 0, 1, 0.001)
    rounded = convert(aware, "int8")
    assert types_within(rounded) == {"int8"}
    answers = runtime.outputs(rounded, images).ravel(), aware(images).numpy().ravel()
    assert np.corrcoef(*answers)[0, 1] > 0.7, "so many layers of fresh weights make much of the last bit"


@pytest.mark.parametrize(
    ("settings", "budget", "said"),
    [
        (INT8, "latency@android/gpu=60%", "android/gpu does not run networks of precision int8"),
        (dataclasses.replace(INT8, precision="dynamic"), "latency@android/nnapi=60%", "precision dynamic"),
    ],
)
def test_a_target_that_cannot_run_the_precision_is_refused_before_anything_is_done(tmp_path, settings, budget, said):
    with pytest.raises(UserError, match=said):
        adapted(tmp_path / "run", settings, budget=budget)
    assert not (tmp_path / "run").exists()


def with_train(images: np.ndarray) -> Datasets:
    _, labels = four_corners(len(images))
    return dataclasses.replace(
        corner_datasets(), train=tf.data.Dataset.from_tensor_slices((images, labels)).batch(16), full_train=None
    )


def test_images_that_cannot_calibrate_are_refused_before_anything_is_done(tmp_path):
    images, _ = four_corners(12)
    with pytest.raises(UserError, match=r"16 or more training images.*there are 12"):
        adapted(tmp_path / "run", INT8, with_train(images))
    images, _ = four_corners(96)
    images[5, 0, 0, 0] = np.nan
    with pytest.raises(UserError, match="1 of 32 training images hold NaN or infinity, first image 5"):
        adapted(tmp_path / "run", INT8, with_train(images))
    assert not (tmp_path / "run").exists()


def test_as_many_images_calibrate_as_were_asked_for():
    datasets = corner_datasets()
    assert calibration_images(datasets.train, 20).shape == (20, 8, 8, 3)
    assert len(calibration_images(datasets.train, 1000)) == 96
    np.testing.assert_array_equal(calibration_images(datasets.train, 20), calibration_images(datasets.train, 20))


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="quantization_aware_epochs is for precision int8; the precision is float16"):
        Settings(precision="float16", quantization_aware_epochs=1)
    with pytest.raises(UserError, match="calibration_images is 4; it should be an integer of 16 or more"):
        Settings(calibration_images=4)
    with pytest.raises(UserError, match="precision is 'int4'; it should be float32 or float16 or dynamic or int8"):
        Settings(precision="int4")
