"""The configuration in a network's file, read as JSON and without Keras."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py

from netadapt_tf.wording import one_line
from tflite_bench.errors import UserError

_MAX_CONFIG_BYTES = 64 << 20
_MAX_UNPACKING = 20  # weights hardly compress, and Keras does not try
_TFLITE_MAGIC = b"TFL3"  # at byte 4
_ZIP_MAGIC = b"PK"


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of the network in a `.keras` or HDF5 file, told apart by their content, as Keras does.

    Raises:
        UserError: the file cannot be read, is damaged, or is no network saved by `tf_keras`.
    """
    try:
        if path.suffix == ".keras" and zipfile.is_zipfile(path):
            text, version = _read_archive(path)
        elif h5py.is_hdf5(path):
            text, version = _read_hdf5(path)
        else:
            raise UserError(f"{path} {_what_it_is(path)}")
        if len(text) > _MAX_CONFIG_BYTES:
            raise UserError(f"{path} has a configuration of more than {_MAX_CONFIG_BYTES >> 20} MiB; no network has")
        if version.split(".")[0].isdecimal() and int(version.split(".")[0]) >= 3:
            raise UserError(
                f"{path} was saved by Keras {one_line(version)}; tf_keras (Keras 2) is needed: build and save the "
                f"network with tf_keras, or with TF_USE_LEGACY_KERAS=1 set before TensorFlow is imported"
            )
        config = json.loads(text)
    except UserError:
        raise
    except Exception as error:  # zipfile, HDF5 and JSON raise whatever damage makes them stumble over
        raise UserError(f"{path} is damaged, or cannot be read: {one_line(error) or type(error).__name__}") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: its configuration is no JSON object")
    return config


def _read_archive(path: Path) -> tuple[bytes, str]:
    """The text of the configuration, and Keras' version."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "config.json" not in names or "metadata.json" not in names:
            raise UserError(f"{path} is a zip archive, but no network saved by tf_keras: it has no config.json")
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _MAX_UNPACKING * path.stat().st_size + _MAX_CONFIG_BYTES:
            raise UserError(f"{path} would unpack to {unpacked} bytes, far more than a network saved by tf_keras does")
        for name in ("config.json", "metadata.json"):
            if archive.getinfo(name).file_size > _MAX_CONFIG_BYTES:
                raise UserError(f"{path} has a {name} of more than {_MAX_CONFIG_BYTES >> 20} MiB; no network has")
        damaged = archive.testzip()
        if damaged is not None:
            raise UserError(f"{path} is damaged: {one_line(damaged)} in it has a wrong checksum")
        metadata = json.loads(archive.read("metadata.json"))
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        return archive.read("config.json"), str(version)


def _read_hdf5(path: Path) -> tuple[bytes, str]:
    """The text of the configuration, and Keras' version."""
    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            if "layer_names" in file.attrs or "layers" in file:
                raise UserError(f"{path} holds weights only; save the whole network, with network.save(…)")
            raise UserError(f"{path} is HDF5, but no network saved by tf_keras: it has no model_config")
        if file.attrs.get_id("model_config").get_storage_size() > _MAX_CONFIG_BYTES:
            raise UserError(f"{path} has a model_config of more than {_MAX_CONFIG_BYTES >> 20} MiB; no network has")
        text, version = file.attrs["model_config"], file.attrs.get("keras_version", "")
    if not isinstance(text, (str, bytes)):
        raise UserError(f"{path} is damaged: its model_config is no text")
    return text.encode() if isinstance(text, str) else text, version.decode() if isinstance(version, bytes) else version


def _what_it_is(path: Path) -> str:
    """What a file is that is no network, and what would be right."""
    with open(path, "rb") as file:
        start = file.read(8)
    if not start:
        return "is empty; a network saved by tf_keras (.keras or .h5) is needed"
    if start[4:] == _TFLITE_MAGIC:
        return "is a TensorFlow Lite model, which cannot be trained; name the .keras or .h5 it was converted from"
    if start.startswith(_ZIP_MAGIC):
        if zipfile.is_zipfile(path):
            return "is a zip archive; if tf_keras saved it in its .keras format, its name should end in .keras"
        return "is damaged: the end of the archive is missing"
    return "is neither a .keras archive nor HDF5, so tf_keras did not save it, or it is damaged"
