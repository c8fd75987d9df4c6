"""Files of networks whose stored configuration was edited, as someone who means harm would."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import tf_keras

Edit = Callable[[dict[str, Any]], None]


def tiny() -> tf_keras.Model:
    """Three layers, `image`, `conv` and `pool`: quick to save and to load."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="conv")(images)
    return tf_keras.Model(images, layers.GlobalMaxPooling2D(name="pool")(x), name="tiny")


def save_edited(path: Path, edit: Edit) -> Path:
    """Saves the tiny network, its configuration edited, in the format of the path's suffix."""
    tiny().save(path)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = json.dumps(_edited(file.attrs["model_config"], edit))
    else:
        members = unzipped(path)
        members["config.json"] = json.dumps(_edited(members["config.json"], edit)).encode()
        zip_up(path, members)
    return path


def unzipped(path: Path) -> dict[str, bytes]:
    """Members of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zip_up(path: Path, members: dict[str, bytes]) -> None:
    """Writes an archive, compressed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def with_layer(class_name: str, module: str, first: Any, arguments: dict[str, Any], config: dict[str, Any]) -> Edit:
    """Adds a layer `extra` that is fed with constants: Keras calls it while it loads the network."""
    layer = {
        "module": module,
        "class_name": class_name,
        "registered_name": None if module == "keras.layers" else class_name,
        "config": {"name": "extra", "trainable": True, "dtype": "float32", **config},
        "name": "extra",
        "inbound_nodes": [["_CONSTANT_VALUE", -1, first, arguments]],
    }
    return lambda network: network["config"]["layers"].insert(1, layer)


def with_operator(symbol: str, first: Any, arguments: dict[str, Any], class_name: str = "TFOpLambda") -> Edit:
    """Adds a layer `extra` that calls something TensorFlow publishes, on constants."""
    return with_layer(class_name, "tf_keras.src.layers.core.tf_op_layer", first, arguments, {"function": symbol})


def with_lambda_of(module: str, name: str, first: Any) -> Edit:
    """Adds a Lambda layer `extra` that calls a function by its name, on a constant."""
    function = {"module": module, "class_name": "function", "config": name, "registered_name": name}
    config = {
        "function": function,
        "function_type": "function",
        "output_shape": None,
        "output_shape_type": "raw",
        "output_shape_module": None,
        "arguments": {},
    }
    return with_layer("Lambda", "keras.layers", first, {}, config)


def as_root(**description: Any) -> Edit:
    """Makes the file describe something else than a network."""
    return lambda network: network.update({"registered_name": None, **description})


def _edited(config: str | bytes, edit: Edit) -> dict[str, Any]:
    network = json.loads(config)
    edit(network)
    return network
