import inspect
import json
import os
import re
import shutil
import urllib.request
from pathlib import Path

import h5py
import numpy as np
import pytest
import tf_keras

from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.networks.trained_weights import take_over, trained_network
from tests.tiny_networks import randomised
from tflite_bench.errors import UserError

V1, V2 = NETWORKS["mobilenet_v1"], NETWORKS["mobilenet_v2"]
RESOLUTION = 32
APPLICATIONS = tf_keras.applications


def application(named, alpha, classes) -> tf_keras.Model:
    """The network of tf_keras.applications, with weights that stand for trained ones."""
    build = getattr(APPLICATIONS, named.application)
    return randomised(build((RESOLUTION, RESOLUTION, 3), alpha, weights=None, classes=classes))


def answers(network: tf_keras.Model) -> np.ndarray:
    images = np.random.default_rng(0).uniform(-1, 1, (2, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
    return network(images).numpy()


def check_answers_alike(network: tf_keras.Model, theirs: tf_keras.Model) -> None:
    assert np.ptp(answers(theirs)) > 0.01, "the answers say nothing"
    np.testing.assert_allclose(answers(network), answers(theirs), atol=1e-6)


def built(named, alpha, classes) -> tf_keras.Model:
    return named.build(named.widths(alpha), RESOLUTION, classes)


@pytest.fixture(scope="module")
def theirs() -> tf_keras.Model:
    return application(V1, 0.25, 5)


@pytest.fixture(scope="module")
def files(theirs, tmp_path_factory) -> dict[str, Path]:
    """The same weights in every form in which Keras writes them."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("new.weights.h5", "weights.h5", "weights.hdf5"):
        theirs.save_weights(folder / name)
    for name in ("network.keras", "network.h5"):
        theirs.save(folder / name)
    trained = tf_keras.models.clone_model(theirs)
    trained.set_weights(theirs.get_weights())
    trained.compile("adam", "sparse_categorical_crossentropy")
    trained.optimizer.build(trained.trainable_variables)
    for name in ("trained.keras", "trained.h5"):
        trained.save(folder / name)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    "name",
    [
        *("new.weights.h5", "weights.h5", "weights.hdf5", "network.keras", "network.h5"),
        *("trained.keras", "trained.h5"),
    ],
)
def test_a_network_by_name_answers_as_the_one_whose_weights_it_takes(files, theirs, name):
    trained = trained_network(V1, 0.25, RESOLUTION, str(files[name]))
    network = built(V1, 0.25, 5)
    take_over(network, trained, V1)
    check_answers_alike(network, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["theirs.weights.h5", "theirs.h5"])
def test_so_does_mobilenet_v2(tmp_path, name):
    theirs = application(V2, 0.35, 5)
    theirs.save_weights(tmp_path / name)
    network = built(V2, 0.35, 5)
    take_over(network, trained_network(V2, 0.35, RESOLUTION, str(tmp_path / name)), V2)
    check_answers_alike(network, theirs)


def test_with_other_classes_all_but_the_classifier_is_taken(files, theirs):
    network = randomised(built(V1, 0.25, 3), seed=5)
    fresh = network.get_layer("conv_preds").get_weights()
    take_over(network, trained_network(V1, 0.25, RESOLUTION, str(files["weights.h5"])), V1)
    for layer in (layer for layer in network.layers if layer.weights):
        expected = fresh if layer.name == "conv_preds" else theirs.get_layer(layer.name).get_weights()
        for ours, other in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(ours, other)


def test_nothing_in_the_file_is_run(files, theirs, tmp_path):
    mark = str(tmp_path / "mark")
    images = tf_keras.layers.Input((RESOLUTION, RESOLUTION, 3))
    programmed = tf_keras.Model(images, tf_keras.layers.Lambda(lambda x: (open(mark, "w"), x)[1])(images))  # noqa: SIM115
    path = Path(shutil.copy(files["network.h5"], tmp_path / "lambda.h5"))
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": programmed.get_config()})
    os.remove(mark)
    with pytest.raises(ValueError, match="0 layers"):  # by then it has run
        tf_keras.models.load_model(path, compile=False)
    os.remove(mark)
    check_answers_alike(trained_network(V1, 0.25, RESOLUTION, str(path)), theirs)
    assert not os.path.exists(mark)


@pytest.mark.slow
def test_a_network_with_other_residual_adds_is_refused(tmp_path):
    for name in ("theirs.weights.h5", "theirs.h5"):
        application(V2, 0.25, 5).save_weights(tmp_path / name)
        with pytest.raises(UserError, match=r"11 residual adds in place of 10.*--network"):
            trained_network(V2, 0.25, RESOLUTION, str(tmp_path / name))


def refused_file(name: str, files: dict[str, Path], folder: Path) -> Path:
    path = folder / name
    match name:
        case "older.weights.h5":
            shutil.copy(files["weights.h5"], path)
        case "newer.h5":
            shutil.copy(files["new.weights.h5"], path)
        case "text.h5":
            path.write_text("a letter to my aunt")
        case "cut.h5":
            path.write_bytes(files["network.h5"].read_bytes()[:100_000])
        case "cut.keras":
            path.write_bytes(files["network.keras"].read_bytes()[:100_000])
        case "foreign.h5":
            with h5py.File(path, "w") as file:
                file["layer"] = np.zeros(3)
        case "vgg.h5":
            images = tf_keras.layers.Input((8, 8, 3))
            x = tf_keras.layers.Conv2D(4, 3)(tf_keras.layers.Conv2D(4, 3)(images))
            tf_keras.Model(images, x).save_weights(path)
        case "wider.h5":
            built(V1, 0.5, 5).save_weights(path)
        case "huge.h5":
            with h5py.File(path, "w") as file:
                file.attrs["layer_names"] = ["dense"]
                file.create_dataset("dense/kernel", (4, 10**12), chunks=(1, 100))
                file.create_dataset("dense/bias", (10**12,), chunks=(100,))
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.h5", r"there is no file .*missing\.h5"),
        ("weights.txt", r"weights\.txt should be imagenet, or a file that ends in \.h5, .*\.weights\.h5"),
        ("older.weights.h5", r"older format.*should not end in \.weights\.h5"),
        ("newer.h5", r"newer format.*should end in \.weights\.h5"),
        ("text.h5", "holds no weights saved by tf_keras, or is damaged"),
        ("cut.h5", r"cut\.h5"),
        ("cut.keras", r"cut\.keras"),
        ("foreign.h5", "HDF5, but holds no weights saved by tf_keras"),
        ("vgg.h5", "does not hold weights of mobilenet_v1 at --alpha=0.25: it has 2 layers with a bias"),
        ("wider.h5", "does not hold weights of mobilenet_v1 at --alpha=0.25: .*hape"),
        ("huge.h5", "1000000000000 classes"),
    ],
)
def test_other_files_are_refused_in_one_sentence(files, tmp_path, name, said):
    with pytest.raises(UserError, match=said) as refused:
        trained_network(V1, 0.25, RESOLUTION, str(refused_file(name, files, tmp_path)))
    assert "\n" not in str(refused.value)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Where Keras looks for what it has downloaded, and no network to download anything from."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tf_keras.src.utils.data_utils.urlretrieve", unreachable)
    folder = tmp_path / ".keras" / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("named", "alpha", "file"),
    [
        (V1, 0.25, "mobilenet_2_5_224_tf.h5"),
        pytest.param(
            *(V2, 0.35, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224.h5"), marks=pytest.mark.slow
        ),
    ],
)
def test_imagenet_weights_are_those_that_keras_finds(cache, named, alpha, file):
    theirs = application(named, alpha, 1000)
    theirs.save_weights(cache / file)
    network = built(named, alpha, 1000)
    trained = trained_network(named, alpha, RESOLUTION, "imagenet")
    take_over(network, trained, named)
    assert np.ptp(answers(theirs)) > 1e-4, "the answers say nothing"
    np.testing.assert_array_equal(answers(network), answers(theirs))
    fewer = built(named, alpha, 3)
    take_over(fewer, trained, named)
    np.testing.assert_array_equal(fewer.get_weights()[0], theirs.get_weights()[0])


@pytest.mark.parametrize("named", [V1, V2])
def test_a_failed_download_says_which_file_to_put_where(cache, named, capsys):
    with pytest.raises(
        UserError, match=r"cannot be downloaded \(no network here\); download https://\S+_224\S*\.h5 "
    ) as e:
        trained_network(named, 1.0, 64, "imagenet")
    assert "put it into ~/.keras/models" in str(e.value)
    assert capsys.readouterr().out == "", "the binary's output is the closing table alone"


def test_a_damaged_download_is_said(cache):
    (cache / "mobilenet_1_0_224_tf.h5").write_bytes(b"half of it")
    with pytest.raises(UserError, match=r"in ~/.keras/models cannot be read .*delete the file"):
        trained_network(V1, 1.0, 224, "imagenet")


@pytest.mark.parametrize("named", NETWORKS.values(), ids=NETWORKS)
def test_imagenet_weights_exist_for_these_alphas_and_resolutions(cache, named):
    with pytest.raises(UserError, match=r"no ImageNet weights for .* it should be one of 0\.\d+, 0\.5,"):
        trained_network(named, 0.3, 224, "imagenet")
    build = getattr(APPLICATIONS, named.application)
    with pytest.raises(ValueError, match="imagenet weights are being loaded") as said_by_keras:
        build((224, 224, 3), 0.3, weights="imagenet")
    alphas = re.findall(r"`(\d\.\d+)`", str(said_by_keras.value))
    assert named.imagenet_alphas == tuple(map(float, alphas))
    (resolutions,) = set(re.findall(r"rows not in \[(.*?)\]", inspect.getsource(build)))
    assert named.imagenet_resolutions == tuple(map(int, resolutions.split(",")))


def test_at_other_resolutions_those_for_224_pixels_are_taken_and_that_is_said(cache, caplog):
    with pytest.raises(UserError, match="_224_"):
        trained_network(V1, 1.0, 64, "imagenet")
    assert "exist for inputs of 128, 160, 192, 224 pixels; for 64, those for 224 are taken" in caplog.text
