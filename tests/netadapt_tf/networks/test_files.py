import pytest
import tf_keras

from netadapt_tf.networks.files import load_network, save_network
from tflite_bench.errors import UserError


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_both_formats_load(cnn, tmp_path, suffix):
    path = tmp_path / f"network{suffix}"
    cnn.save(path)
    assert load_network(path).count_params() == cnn.count_params()


def test_saving_leaves_one_file(cnn, tmp_path):
    save_network(cnn, tmp_path / "network.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


def test_what_cannot_be_adapted_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="no file"):
        load_network(tmp_path / "missing.keras")
    (tmp_path / "damaged.keras").write_bytes(b"not a zip")
    with pytest.raises(UserError, match=r"damaged\.keras cannot be read"):
        load_network(tmp_path / "damaged.keras")
    (tmp_path / "network.onnx").write_bytes(b"")
    with pytest.raises(UserError, match=r"\.keras or \.h5"):
        load_network(tmp_path / "network.onnx")
    subclassed = tf_keras.Sequential([tf_keras.layers.Dense(2)])
    subclassed.build((None, 4))
    subclassed.save(tmp_path / "dense.keras")
    with pytest.raises(UserError, match="input shape"):
        load_network(tmp_path / "dense.keras")
