"""Networks by name with trained weights, as the flags ask for them; in this process."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tf_keras

from netadapt_tf import job
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.files import load_network
from netadapt_tf.request import Request
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.settings import Settings
from netadapt_tf.training.images import ImageSet
from tests.tiny_networks import TINY_CNN_CLASSES, randomised, tiny_cnn
from tflite_bench.errors import UserError

V1 = NETWORKS["mobilenet_v1"]


@pytest.fixture
def request_(tmp_path) -> Request:
    """An adaptation that has nothing to do: its budget is met by the network as it is."""
    return Request(
        network="mobilenet_v1",
        alpha=0.25,
        resolution=32,
        weights=None,
        dataset="fashion_mnist_12k",
        budgets=parse_budgets(["macs=100%"]),
        run_dir=tmp_path / "run",
        table=None,
        benchmark_models=(),
        table_only=False,
        preprocessing="tf",
        augmentation="none",
        batch_size=32,
        holdout_images=100,
        train_images=300,
        threads=2,
        allow_lambda=False,
        trust_saved_model=False,
        settings=Settings(),
    )


def weights_file(path: Path, classes: int, seed: int = 0) -> tf_keras.Model:
    """Writes weights that stand for trained ones; returns the network that they are of."""
    network = randomised(V1.build(V1.widths(0.25), 32, classes), seed)
    network.save_weights(path)
    return network


def test_a_file_of_weights_counts_by_its_contents_and_may_be_gone(request_, tmp_path):
    path = tmp_path / "trained.h5"
    with_weights = dataclasses.replace(request_, weights=str(path))
    path.write_bytes(b"one")
    one = with_weights.identity()
    path.write_bytes(b"other")
    assert one["weights"] == "trained.h5"
    assert with_weights.identity()["weights_sha256"] != one["weights_sha256"]
    path.unlink()
    assert with_weights.identity().items() < one.items()
    assert request_.identity()["weights"] is None
    assert dataclasses.replace(request_, weights="imagenet").identity()["weights"] == "imagenet"


def test_networks_from_files_have_their_own_weights(request_):
    with pytest.raises(UserError, match="--weights is for mobilenet_v1 or mobilenet_v2; a network from a file"):
        job.forecast(
            dataclasses.replace(request_, network="net.keras", alpha=None, resolution=None, weights="imagenet")
        )


def test_weights_of_other_classes_need_pretraining(request_, tmp_path):
    weights_file(tmp_path / "trained.h5", classes=7)
    with pytest.raises(UserError, match=r"of 7 classes and fashion_mnist_12k has 10.*--pretrain_epochs above 0"):
        job.adapt(dataclasses.replace(request_, weights=str(tmp_path / "trained.h5")), "test")
    assert not request_.run_dir.exists()


def test_no_trained_weights_are_fetched_for_data_that_cannot_be_had(request_, tmp_path, monkeypatch):
    monkeypatch.setattr(job, "trained_network", lambda *_: pytest.fail("trained weights were fetched"))
    with pytest.raises(UserError, match="missing"):
        job.adapt(dataclasses.replace(request_, weights="imagenet", dataset=f"folder:{tmp_path}/missing"), "test")


@pytest.fixture
def nothing_is_decoded(monkeypatch):
    def decode(_):
        raise AssertionError("images were decoded for a network that they do not fit")

    monkeypatch.setattr(ImageSet, "in_memory", decode)


@pytest.mark.usefixtures("nothing_is_decoded")
@pytest.mark.parametrize("run", [job.forecast, lambda request: job.adapt(request, "test")], ids=["forecast", "adapt"])
def test_a_network_of_other_classes_is_refused_before_any_image_is_decoded(request_, tmp_path, run):
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(9):
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(b"")
    tiny_cnn().save(tmp_path / "tiny.keras")
    asked = dataclasses.replace(
        request_, network=str(tmp_path / "tiny.keras"), alpha=None, resolution=None, dataset=f"folder:{tmp_path}/photos"
    )
    answers = rf"tiny.keras answers \(None, {TINY_CNN_CLASSES}\); for folder:.*photos, of 2 classes, \(None, 2\) is"
    with pytest.raises(UserError, match=answers):
        run(asked)


def test_a_network_of_oblong_images_is_refused_before_any_image_is_looked_for(request_, tmp_path):
    images = tf_keras.Input((8, 6, 3))
    pooled = tf_keras.layers.GlobalAveragePooling2D()(images)
    tf_keras.Model(images, tf_keras.layers.Dense(2)(pooled)).save(tmp_path / "oblong.keras")
    asked = dataclasses.replace(
        request_, network=str(tmp_path / "oblong.keras"), alpha=None, resolution=None, dataset="folder:/nowhere"
    )
    with pytest.raises(UserError, match="takes images of shape 8 x 6 x 3; square ones of three channels are needed"):
        job.forecast(asked)


@pytest.mark.usefixtures("nothing_is_decoded")
def test_weights_of_other_classes_are_refused_before_any_image_is_decoded(request_, tmp_path):
    weights_file(tmp_path / "trained.h5", classes=7)
    with pytest.raises(UserError, match="are of 7 classes"):
        job.forecast(dataclasses.replace(request_, weights=str(tmp_path / "trained.h5")))


@pytest.mark.parametrize(
    ("batch_size", "said"),
    [
        (256, ["200 training images make epochs of one step of 200 images"]),
        (90, ["200 training images make epochs of 2 steps of 90 images"]),
        (25, []),
    ],
)
def test_a_batch_that_is_large_for_so_few_images_is_said(request_, monkeypatch, caplog, batch_size, said):
    monkeypatch.setattr(job, "dry_run", lambda *_, **__: None)
    job.forecast(dataclasses.replace(request_, batch_size=batch_size))
    assert [line.partition(";")[0] for line in caplog.messages if "--batch_size" in line] == said


@pytest.mark.slow
def test_a_run_starts_from_the_weights_and_goes_on_without_their_file(request_, tmp_path):
    path = tmp_path / "trained.weights.h5"
    theirs = weights_file(path, classes=10)
    settings = Settings(initial_reduction=0.5, short_term_steps=0, long_term_epochs=0, filter_multiple=32)
    with_weights = dataclasses.replace(request_, weights=str(path), settings=settings)
    job.adapt(with_weights, "test")
    kept = load_network(request_.run_dir / "iterations" / "000" / "network.keras")
    for layer in theirs.layers:
        for ours, other in zip(kept.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, other)

    weights_file(path, classes=10, seed=1)
    with pytest.raises(UserError, match="differs in weights_sha256"):
        job.adapt(with_weights, "test")
    with pytest.raises(UserError, match=r"differs in weights \(there trained\.weights\.h5, now None\)"):
        job.adapt(dataclasses.replace(with_weights, weights=None), "test")
    path.unlink()
    job.adapt(dataclasses.replace(with_weights, budgets=parse_budgets(["macs=95%"])), "test")
    summary = json.loads((request_.run_dir / "summary.json").read_text())
    assert summary["macs"]["after"] < summary["macs"]["before"]


@pytest.mark.slow
def test_with_other_classes_the_rest_is_pretrained_from_the_weights(request_, tmp_path):
    theirs = weights_file(tmp_path / "trained.h5", classes=7)
    # nothing is learned at a rate of nothing: what pre-training begins with is what it ends with
    settings = Settings(pretrain_epochs=1, pretrain_learning_rate=0.0)
    job.adapt(dataclasses.replace(request_, weights=str(tmp_path / "trained.h5"), settings=settings), "test")
    kept = load_network(request_.run_dir / "iterations" / "000" / "network.keras")
    assert kept.output_shape == (None, 10)
    for name in ("conv1", "conv_pw_13"):
        np.testing.assert_array_equal(kept.get_layer(name).get_weights()[0], theirs.get_layer(name).get_weights()[0])
