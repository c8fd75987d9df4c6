import numpy as np
import pytest
import tf_keras

from netadapt_tf.networks.channel_groups import find_channel_groups, widths_of
from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.narrowing import narrow
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
    dense = tf_keras.Sequential([tf_keras.layers.Dense(2)])
    dense.build((None, 4))
    dense.save(tmp_path / "dense.keras")
    with pytest.raises(UserError, match="input shape"):
        load_network(tmp_path / "dense.keras")


def test_a_sequential_network_becomes_a_functional_one_that_can_be_narrowed(tmp_path):
    layers = tf_keras.layers
    sequential = tf_keras.Sequential(
        [
            layers.Conv2D(8, 3, activation="relu", input_shape=(8, 8, 3), name="a"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, name="b"),
        ]
    )
    sequential.save(tmp_path / "sequential.keras")
    network = load_network(tmp_path / "sequential.keras")
    groups = find_channel_groups(network)
    assert widths_of(groups) == {"a": 8}
    narrower = narrow(network, groups, {"a": np.array([0, 5])})
    assert narrower.get_layer("a").filters == 2
    images = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(network(images), sequential(images), atol=1e-6)
