import contextlib
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers
from tf_keras.src.utils import generic_utils

from netadapt_tf.networks.files import checked, load_network, save_network
from netadapt_tf.networks.narrowing import narrow
from netadapt_tf.networks.tracing import find_channels
from tests.netadapt_tf.networks.edited_networks import (
    Edit,
    as_root,
    save_edited,
    tiny,
    unzipped,
    with_lambda_of,
    with_layer,
    with_operator,
    zip_up,
)
from tflite_bench.errors import UserError


def said_of(path, **trust) -> str:
    with pytest.raises(UserError) as error:
        load_network(path, **trust)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert len(text) < 700
    return text


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_every_format_loads(tmp_path, suffix):
    tiny().save(tmp_path / "network.h5")
    path = tmp_path / f"network{suffix}"
    if suffix == ".keras":
        tiny().save(path)
    else:
        (tmp_path / "network.h5").rename(path)
    assert load_network(path).count_params() == tiny().count_params()


def test_saving_leaves_one_file(cnn, tmp_path):
    save_network(cnn, tmp_path / "network.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["network.keras"]


def test_names_that_are_no_network_are_refused(tmp_path):
    with pytest.raises(UserError, match="no file"):
        load_network(tmp_path / "missing.keras")
    (tmp_path / "network.onnx").write_bytes(b"")
    assert ".keras or .h5" in said_of(tmp_path / "network.onnx")
    (tmp_path / "network.tflite").write_bytes(b"\x1c\0\0\0TFL3")
    assert "cannot be trained" in said_of(tmp_path / "network.tflite")
    assert "is a directory, but no SavedModel" in said_of(tmp_path)
    (tmp_path / "damaged.keras").write_bytes(b"not a zip")
    assert "neither" in said_of(tmp_path / "damaged.keras")


def test_a_sequential_network_becomes_a_functional_one_that_can_be_narrowed(tmp_path):
    sequential = tf_keras.Sequential(
        [
            layers.Conv2D(8, 3, activation="relu", input_shape=(8, 8, 3), name="a"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, name="b"),
        ]
    )
    sequential.save(tmp_path / "sequential.keras")
    network = load_network(tmp_path / "sequential.keras")
    channels = find_channels(network)
    assert channels.widths == {"a": 8}
    narrower = narrow(network, channels, {"a": np.array([0, 5])})
    assert narrower.get_layer("a").filters == 2
    images = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(network(images), sequential(images), atol=1e-6)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (lambda: tf_keras.Sequential([layers.Dense(2)]), "without a graph of layers"),
        (lambda: tf_keras.Sequential([layers.Dense(2, input_shape=(4,))]), "input shape (None, 4)"),
        (lambda: tf_keras.Sequential([layers.Conv2D(2, 1, input_shape=(None, None, 3))]), "(None, None, None, 3)"),
        (
            lambda: tf_keras.Model(*[[layers.Input((8, 8, 3)), layers.Input((8, 8, 3))]] * 2),
            "one input [N, height, width, channels]",
        ),
        (lambda: "network.keras", "holds a builtins.str"),
        (lambda: pytest.importorskip("keras").Sequential(), "(Keras 2) is needed"),
    ],
)
def test_networks_of_another_shape_are_refused(network, said):
    with pytest.raises(UserError) as error:
        checked(network(), "--network")
    assert str(error.value).startswith("--network ")
    assert said in str(error.value)


class Halved(tf_keras.Model):
    """Not what its graph says."""

    def call(self, x, training=None, mask=None):
        return super().call(x, training, mask) / 2.0


class Named(tf_keras.Model):
    """What its graph says, under a class of the user's own; Keras cannot write down how it is made."""

    def __init__(self, filters: int):
        images = layers.Input((8, 8, 3))
        x = layers.GlobalMaxPooling2D()(layers.Conv2D(filters, 1, name="conv")(images))
        super().__init__(images, layers.Dense(2, name="out")(x))


def _ends() -> tuple[list, list]:
    network = tiny()
    return network.inputs, network.outputs


def test_a_model_that_computes_something_else_than_its_graph_is_refused():
    with pytest.raises(UserError, match=r"--network holds a Halved with a call\(\) of its own"):
        checked(Halved(*_ends()), "--network")


def test_a_class_of_ones_own_around_a_graph_becomes_that_graph():
    own = Named(6)
    network = checked(own, "--network")
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    narrower = narrow(network, find_channels(network), {"conv": np.arange(3)})
    assert narrower.get_layer("conv").filters == 3
    np.testing.assert_array_equal(network(images), own(images))


def with_own_loss() -> tf_keras.Model:
    network = tf_keras.Model(*_ends())
    network.add_loss(0.1 * tf.reduce_mean(network.output))
    return network


def with_loss_of_a_layer() -> tf_keras.Model:
    network = tf_keras.Model(*_ends())
    layer = network.layers[1]
    layer.add_loss(lambda: 0.1 * tf.reduce_mean(layer.kernel))
    return network


def in_another(network: tf_keras.Model) -> tf_keras.Model:
    images = layers.Input(network.input_shape[1:])
    return tf_keras.Model(images, network(images))


@pytest.mark.parametrize("outer", [lambda network: network, in_another])
@pytest.mark.parametrize("network", [with_own_loss, with_loss_of_a_layer])
def test_a_loss_that_copies_would_not_have_is_refused(network, outer):
    with pytest.raises(
        UserError, match=r"--network adds a loss to itself \(add_loss, at .*give the whole loss as loss="
    ):
        checked(outer(network()), "--network")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_so_is_one_in_a_file(tmp_path, suffix):
    with_own_loss().save(tmp_path / f"network{suffix}")
    assert "adds a loss to itself" in said_of(tmp_path / f"network{suffix}")


def test_regularisers_are_no_losses_of_ones_own():
    network = tf_keras.Sequential(
        [layers.Conv2D(4, 1, kernel_regularizer="l2", activity_regularizer="l1", input_shape=(8, 8, 3))]
    )
    assert checked(network, "--network").layers[-1].kernel_regularizer is not None


@pytest.fixture
def marker(tmp_path):
    """A path that exists only if a program in a file was run."""
    return tmp_path / "was_here"


@pytest.fixture
def evil_modules(tmp_path, monkeypatch, marker):
    """Two modules beside the network that leave the marker when they are imported."""
    for name in ("evil_module", "tf_keras_evil"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("evil_module", "tf_keras_evil"):
        sys.modules.pop(name, None)


def lambda_that_leaves(marker) -> Edit:
    """Turns the pooling layer into a marshalled function."""
    scope: dict = {}
    exec(f"def leave(x):\n  open({str(marker)!r}, 'w').close()\n  return x[:, 0, 0]", scope)
    function: dict[str, Any] = {
        "function": list(generic_utils.func_dump(scope["leave"])),
        "function_type": "lambda",
        "module": "builtins",
        "output_shape": None,
        "output_shape_type": "raw",
        "output_shape_module": None,
        "arguments": {},
    }
    return lambda network: network["config"]["layers"][2].update(
        class_name="Lambda", config={"name": "pool", **function}
    )


def _plain_keras(path) -> None:
    with contextlib.suppress(Exception):
        tf_keras.models.load_model(path, compile=False, safe_mode=True)


PROGRAMS = {
    ".keras: a Lambda of os.system": lambda m: with_lambda_of("os", "system", f"touch {m}"),
    ".keras: a Lambda of os.system found in a module of Keras": lambda m: with_lambda_of(
        "keras.src.utils.data_utils", "os.system", f"touch {m}"
    ),
    ".keras: a foreign class": lambda m: as_root(module="evil_module", class_name="Thing"),
    ".keras: a foreign class in a module that sounds like Keras": lambda m: as_root(
        module="keras_evil", class_name="Thing"
    ),
    ".keras: a foreign function": lambda m: as_root(module="evil_module", class_name="function", config="Thing"),
    ".keras: a foreign type": lambda m: as_root(
        module="evil_module", class_name="__typespec__", spec_name="Thing", config=[]
    ),
    ".keras: a wrapper of a foreign function": lambda m: with_layer(
        "ResidualWrapper",
        "keras.layers",
        [[[1.0]]],
        {},
        {
            "cell": {"module": "keras.layers", "class_name": "SimpleRNNCell", "config": {"units": 1}},
            "residual_fn": {"module": "evil_module", "class_name": "function", "config": "Thing"},
            "residual_fn_type": "function",
            "residual_fn_module": None,
        },
    ),
    ".keras: an operator that writes a file": lambda m: with_operator("io.write_file", str(m), {"contents": "x"}),
    ".keras: a slicing operator that makes a folder": lambda m: with_operator(
        "io.gfile.makedirs", str(m), {}, "SlicingOpLambda"
    ),
    ".keras: an operator that fetches a file": lambda m: with_operator(
        "keras.utils.get_file",
        m.name,
        {"origin": Path(__file__).as_uri(), "cache_dir": str(m.parent), "cache_subdir": "."},
    ),
    ".keras: an operator that imports": lambda m: with_operator(
        "keras.utils.deserialize_keras_object",
        {"module": "evil_module", "class_name": "Thing", "config": {}, "registered_name": None},
        {},
    ),
    ".h5: a marshalled function": lambda_that_leaves,
    ".h5: an operator that writes a file": lambda m: with_operator("io.write_file", str(m), {"contents": "x"}),
    ".h5: an operator that makes a folder": lambda m: with_operator("compat.v1.gfile.MakeDirs", str(m), {}),
}


@pytest.mark.parametrize("what", PROGRAMS)
@pytest.mark.usefixtures("evil_modules")
def test_programs_that_keras_would_run_are_not_run(tmp_path, marker, what):
    path = save_edited(tmp_path / f"network{what.split(':')[0]}", PROGRAMS[what](marker))
    assert "--allow_lambda loads it if you trust where it comes from" in said_of(path)
    assert not marker.exists()
    _plain_keras(path)
    assert marker.exists(), "Keras' own safe mode stops this now; then it proves nothing"


def test_an_hdf5_file_that_calls_itself_keras_is_inspected_too(tmp_path, marker):
    path = save_edited(tmp_path / "network.h5", lambda_that_leaves(marker)).rename(tmp_path / "network.keras")
    assert "holds a Lambda layer (pool), which is a program; --allow_lambda loads it" in said_of(path)
    assert not marker.exists()
    _plain_keras(path)
    assert marker.exists()


def test_an_operator_that_loads_another_file_is_not_called(tmp_path, marker):
    other = save_edited(tmp_path / "other.h5", lambda_that_leaves(marker))
    path = save_edited(tmp_path / "network.h5", with_operator("keras.models.load_model", str(other), {}))
    assert "(extra) that calls keras.models.load_model" in said_of(path)
    assert not marker.exists()
    _plain_keras(path)
    assert marker.exists()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambda_layers_load_for_those_who_trust_them(tmp_path, suffix):
    images = layers.Input((8, 8, 3))
    network = tf_keras.Model(images, layers.Lambda(lambda x: 3 * x, name="triple")(images))
    network.save(tmp_path / f"lambda{suffix}")
    assert "a Lambda layer (triple)" in said_of(tmp_path / f"lambda{suffix}")
    loaded = load_network(tmp_path / f"lambda{suffix}", allow_lambda=True)
    assert float(loaded(np.ones((1, 8, 8, 3)))[0, 0, 0, 0]) == 3


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_operators_made_by_arithmetic_load_without_ado(tmp_path, suffix):
    images = layers.Input((8, 8, 3))
    network = tf_keras.Model(images, layers.Conv2D(2, 1)((images * 2.0 - 1.0)[:, ::2, ::2, :]))
    network.save(tmp_path / f"operators{suffix}")
    assert load_network(tmp_path / f"operators{suffix}").output_shape == (None, 4, 4, 2)


class Doubled(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def with_own_layer() -> tf_keras.Model:
    images = layers.Input((8, 8, 3))
    return tf_keras.Model(images, Doubled(name="mine")(images))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_that_nobody_knows_are_named(tmp_path, suffix):
    path = tmp_path / f"own{suffix}"
    with_own_layer().save(path)
    assert "holds Doubled" in said_of(path)
    assert "(in mine)" in said_of(path)
    if suffix == ".h5":
        assert "Unknown layer: 'Doubled'" in said_of(path, allow_lambda=True)


def test_a_network_trained_with_a_loss_of_ones_own_loads(tmp_path):
    network = tiny()
    network.compile("sgd", loss=lambda truth, answer: answer)
    network.save(tmp_path / "trained.keras")
    assert load_network(tmp_path / "trained.keras").count_params() == network.count_params()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda network: network["config"]["layers"][1]["config"].update(activation="nosuch"), "'nosuch'"),
        (lambda network: network["config"]["layers"][1]["config"].update(filters=5), "Shape mismatch"),
        (lambda network: network["config"]["layers"][1].pop("config"), "cannot be loaded"),
        (lambda network: network.clear(), "holds a builtins.dict"),
        (as_root(class_name="ReLU", module="keras.layers", config={}), "ReLU"),
        (lambda network: network["config"]["layers"][1]["config"].update(kernel_size="\x1b[2J"), "cannot be loaded"),
    ],
)
def test_what_keras_stumbles_over_is_one_sentence(tmp_path, edit, said):
    text = said_of(save_edited(tmp_path / "network.keras", edit), allow_lambda=True)
    assert said in text
    assert text.isprintable()


def test_a_network_without_its_weights_is_refused(tmp_path):
    tiny().save(tmp_path / "network.keras")
    members = unzipped(tmp_path / "network.keras")
    del members["model.weights.h5"]
    zip_up(tmp_path / "network.keras", members)
    assert "model.weights.h5" in said_of(tmp_path / "network.keras")


def test_a_saved_model_loads_for_those_who_trust_it(tmp_path):
    tiny().save(tmp_path / "saved", save_format="tf")
    assert "--trust_saved_model loads it if you trust where it comes from" in said_of(tmp_path / "saved")
    loaded = load_network(tmp_path / "saved", trust_saved_model=True)
    assert [layer.name for layer in loaded.layers] == ["image", "conv", "pool"]


def test_a_saved_model_without_a_network_is_refused(tmp_path):
    tiny().export(tmp_path / "exported")
    assert "tf_keras" in said_of(tmp_path / "exported", trust_saved_model=True)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "saved_model.pb").write_bytes(b"nothing of the kind")
    assert "cannot be loaded" in said_of(tmp_path / "broken", trust_saved_model=True)


def damaged(content: bytes, seed: int) -> bytes:
    """A copy with some bytes changed, or the end missing, or a stretch of noise."""
    generator = random.Random(seed)
    copy = bytearray(content)
    kind = generator.randrange(3)
    if kind == 0:
        for _ in range(generator.choice([1, 4, 32])):
            copy[generator.randrange(len(copy))] = generator.randrange(256)
    elif kind == 1:
        del copy[generator.randrange(len(copy)) :]
    else:
        start = generator.randrange(len(copy))
        length = min(generator.choice([4, 64, 512]), len(copy) - start)
        copy[start : start + length] = generator.randbytes(length)
    return bytes(copy)


def test_damage_anywhere_gives_a_network_or_a_sentence(tmp_path):
    for suffix in (".keras", ".h5"):
        tiny().save(tmp_path / f"whole{suffix}")
    members = unzipped(tmp_path / "whole.keras")
    outcomes = {"network": 0, "sentence": 0}
    for seed in range(25):
        for suffix in (".keras", ".h5"):
            (tmp_path / f"a{suffix}").write_bytes(damaged((tmp_path / f"whole{suffix}").read_bytes(), seed))
        for name in ("config.json", "model.weights.h5"):  # checksums right
            zip_up(tmp_path / f"{name}.keras", {**members, name: damaged(members[name], seed)})
        for path in (tmp_path / "a.keras", tmp_path / "a.h5", *tmp_path.glob("*.*.keras")):
            outcomes["network" if _loads_or_says_why(path) else "sentence"] += 1
    assert sum(outcomes.values()) == 100
    assert outcomes["network"] > 0
    assert outcomes["sentence"] > 50


def _loads_or_says_why(path) -> bool:
    try:
        return isinstance(load_network(path), tf_keras.Model)
    except UserError:
        return False
