import json
import zipfile

import h5py
import pytest

from netadapt_tf.networks.stored_config import read_config
from tests.netadapt_tf.networks.edited_networks import tiny, unzipped, zip_up
from tflite_bench.errors import UserError


def said_of(path) -> str:
    with pytest.raises(UserError) as error:
        read_config(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The tiny network in both formats, by suffix; not to be changed."""
    folder = tmp_path_factory.mktemp("saved")
    for suffix in (".keras", ".h5"):
        tiny().save(folder / f"tiny{suffix}")
    return {suffix: folder / f"tiny{suffix}" for suffix in (".keras", ".h5")}


def test_every_format_and_name_tells_the_same_layers(saved, tmp_path):
    (tmp_path / "tiny.hdf5").write_bytes(saved[".h5"].read_bytes())
    (tmp_path / "older.keras").write_bytes(saved[".h5"].read_bytes())  # as Keras saved before 2.12
    for path in (*saved.values(), tmp_path / "tiny.hdf5", tmp_path / "older.keras"):
        config = read_config(path)
        assert [layer["config"]["name"] for layer in config["config"]["layers"]] == ["image", "conv", "pool"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("network.keras", b"", "is empty"),
        ("network.h5", b"", "is empty"),
        ("network.keras", b"not a zip", "neither a .keras archive nor HDF5"),
        ("network.h5", b"layers:\n  - conv\n", "neither a .keras archive nor HDF5"),
        ("network.keras", b"\x1c\0\0\0TFL3\x14\0", "TensorFlow Lite model, which cannot be trained"),
    ],
)
def test_other_files_are_told_apart(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in said_of(tmp_path / name)


def test_half_an_archive_is_told(saved, tmp_path):
    (tmp_path / "half.keras").write_bytes(saved[".keras"].read_bytes()[:-100])
    assert "the end of the archive is missing" in said_of(tmp_path / "half.keras")


def test_half_an_hdf5_file_is_told(saved, tmp_path):
    (tmp_path / "half.h5").write_bytes(saved[".h5"].read_bytes()[:2000])
    assert "is damaged, or cannot be read" in said_of(tmp_path / "half.h5")


def test_one_wrong_byte_among_the_weights_is_told(saved, tmp_path):
    content = bytearray(saved[".keras"].read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "rotten.keras").write_bytes(content)
    assert "model.weights.h5 in it has a wrong checksum" in said_of(tmp_path / "rotten.keras")


def test_an_archive_under_another_name_is_told(saved, tmp_path):
    (tmp_path / "renamed.h5").write_bytes(saved[".keras"].read_bytes())
    assert "its name should end in .keras" in said_of(tmp_path / "renamed.h5")


def test_another_archive_is_told(tmp_path):
    zip_up(tmp_path / "photos.keras", {"a.txt": b"a"})
    assert "it has no config.json" in said_of(tmp_path / "photos.keras")


@pytest.mark.parametrize("config", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_configuration_that_is_none_is_told(saved, tmp_path, config):
    zip_up(tmp_path / "x.keras", {**unzipped(saved[".keras"]), "config.json": config})
    assert "is damaged" in said_of(tmp_path / "x.keras")


def test_keras_3_is_told_and_what_to_do(tmp_path):
    keras = pytest.importorskip("keras", minversion="3")
    network = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    for name in ("three.keras", "three.h5"):
        network.save(tmp_path / name)
        text = said_of(tmp_path / name)
        assert f"was saved by Keras {keras.__version__}" in text
        assert "TF_USE_LEGACY_KERAS=1" in text
    network.save_weights(tmp_path / "three.weights.h5")
    assert "holds weights only" in said_of(tmp_path / "three.weights.h5")


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5"])
def test_weights_alone_are_told(tmp_path, name):
    tiny().save_weights(tmp_path / name)
    assert "holds weights only" in said_of(tmp_path / name)


def test_other_hdf5_files_are_told(saved, tmp_path):
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["numbers"] = [1, 2, 3]
    assert "it has no model_config" in said_of(tmp_path / "table.h5")
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file.attrs["model_config"] = [1, 2, 3]
    assert "its model_config is no text" in said_of(tmp_path / "table.h5")


@pytest.mark.parametrize("name", ["config.json", "metadata.json", "model.weights.h5"])
def test_what_unpacks_to_far_too_much_is_refused_unread(saved, tmp_path, monkeypatch, name):
    zip_up(tmp_path / "bomb.keras", {**unzipped(saved[".keras"]), name: b" " * (80 << 20)})
    assert (tmp_path / "bomb.keras").stat().st_size < 1 << 20
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("read"))
    assert "far more" in said_of(tmp_path / "bomb.keras")


def test_a_large_configuration_in_a_large_file_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("netadapt_tf.networks.stored_config._MAX_CONFIG_BYTES", 1000)
    assert "has a config.json of more than" in said_of(saved[".keras"])
    assert "has a configuration of more than" in said_of(saved[".h5"])


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be read: "):
        read_config(tmp_path / "gone.h5")


def test_a_number_for_a_version_is_no_obstacle(saved, tmp_path):
    zip_up(tmp_path / "x.keras", {**unzipped(saved[".keras"]), "metadata.json": json.dumps([2]).encode()})
    assert read_config(tmp_path / "x.keras") == read_config(saved[".keras"])
