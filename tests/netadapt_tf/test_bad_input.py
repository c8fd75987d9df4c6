"""What mistakes and hostile files get from the real binary: one sentence, exit status 2, nothing left behind."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.forked_calls import called
from tests.tiny_networks import tiny_cnn


@dataclass(frozen=True)
class Mistake:
    """Flags beyond the good ones (None takes one away), and words that the sentence must hold."""

    flags: dict[str, str | None]
    said: tuple[str, ...]


MISTAKES = {
    "unreachable latency": Mistake({"budget": "latency@host/cpu:1=1%"}, ("cannot be reached", "still costs", " ms")),
    "unreachable bytes": Mistake({"budget": "tflite_bytes=10"}, ("cannot be reached", "still costs", "bytes")),
    "malformed budget": Mistake({"budget": "latency@host/cpu:1=fast"}, ("RESOURCE[@TARGET]=AMOUNT", "'latency@host")),
    "no budget": Mistake({"budget": None}, ("--budget",)),
    "unknown resource": Mistake({"budget": "joules=50%"}, ("'joules'", "latency, macs")),
    "unknown target": Mistake({"budget": "latency@moon/cpu:1=50%"}, ("'moon/cpu:1'", "host/cpu:1")),
    "too many threads": Mistake({"budget": "latency@host/cpu:9999=50%"}, ("9999 threads", "cores")),
    "unknown network": Mistake({"network": "mobilenet_v9"}, ("'mobilenet_v9'", "mobilenet_v1", ".keras")),
    "missing file": Mistake({"network": "missing.keras"}, ("no file missing.keras",)),
    "unknown data set": Mistake({"dataset": "imagenet21k"}, ("'imagenet21k'", "fashion_mnist_12k", "folder:PATH")),
    "unknown flag": Mistake({"budgte": "macs=50%"}, ("budgte", "--help")),
    "unknown choice": Mistake({"pick": "best"}, ("pick", "highest_accuracy")),
    "stray weights": Mistake({"weights": "imagenet"}, ("--weights is for mobilenet_v1 or mobilenet_v2",)),
    "no weights": Mistake({"network": "mobilenet_v2", "weights": "gone.h5"}, ("no file gone.h5", "--weights")),
    "no such alpha": Mistake(
        {"network": "mobilenet_v2", "alpha": "0.25", "weights": "imagenet"}, ("no ImageNet weights", "0.35, 0.5")
    ),
    "stray argument": Mistake({"alpha": "0.25"}, ("--alpha is for mobilenet_v1",)),
    "no folder": Mistake({"dataset": "folder:missing"}, ("no folder missing",)),
    "no images": Mistake({"dataset": "folder:no_images"}, ("no_images", "holds 0 images")),
    "one class": Mistake({"dataset": "folder:one_class"}, ("at least two", "it holds 1")),
    "no image": Mistake({"dataset": "folder:no_image"}, ("broken.png", "no image")),
    "other classes": Mistake({"dataset": "fashion_mnist_12k"}, ("(None, 4)", "10 classes", "(None, 10)")),
    "oblong input": Mistake({"network": "oblong.keras"}, ("8 x 4 x 3", "square")),
    "damaged network": Mistake({"network": "damaged.keras"}, ("damaged.keras",)),
    "foreign network": Mistake({"network": "foreign.keras"}, ("foreign.keras", "tf_keras")),
    "nothing to shrink": Mistake({"network": "flat.keras"}, ("no channel group that can shrink",)),
    "another request": Mistake({"run_dir": "others"}, ("belongs to another request", "seed (there 5, now 0)")),
    "not a folder": Mistake({"run_dir": "a_file/run"}, ("a_file/run cannot be written",)),
    "no table": Mistake({"table": "a_file"}, ("a_file", "--table")),
    "Lambda in .h5": Mistake({"network": "lambda.h5"}, ("Lambda", "--allow_lambda")),
    "Lambda in .keras": Mistake({"network": "lambda.keras"}, ("Lambda", "--allow_lambda")),
    "SavedModel": Mistake({"network": "saved_model"}, ("SavedModel", "--trust_saved_model")),
}


def write_images(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        tf.io.write_file(str(folder / f"{number}.png"), tf.io.encode_png(np.full((8, 8, 3), number, np.uint8)))


def classifier(x: tf.Tensor, images: tf.Tensor) -> tf_keras.Model:
    x = tf_keras.layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(images, tf_keras.layers.Dense(4, activation="softmax", name="out")(x))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory) -> Path:
    """A folder with everything that the flags name."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in "abcd":
        write_images(folder / "photos" / name, 8)
        write_images(folder / "no_image" / name, 4)
    (folder / "no_image" / "b" / "broken.png").write_text("a letter to my aunt")
    write_images(folder / "one_class" / "a", 4)
    for name in "abcd":
        write_images(folder / "no_images" / name, 0 if name == "b" else 4)
    (folder / "a_file").write_text("this is no table, and no folder either")
    layers = tf_keras.layers
    tiny_cnn().save(folder / "good.keras")
    (folder / "damaged.keras").write_bytes((folder / "good.keras").read_bytes()[:2000])
    (folder / "foreign.keras").write_bytes(b"PK\x05\x06" + bytes(18))  # an empty zip archive
    images = layers.Input((8, 4, 3))
    classifier(layers.Conv2D(8, 1)(images), images).save(folder / "oblong.keras")
    images = layers.Input((8, 8, 3))
    classifier(images, images).save(folder / "flat.keras")
    programmed = classifier(layers.Lambda(lambda x: x + 1.0)(layers.Conv2D(8, 1)(images)), images)
    for suffix in (".h5", ".keras"):
        programmed.save(folder / f"lambda{suffix}")
    tiny_cnn().save(folder / "saved_model")
    (folder / "others").mkdir()
    (folder / "others" / "config.json").write_text(json.dumps({"seed": 5, "budgets": ["macs=90%"], "hash": "0"}))
    return folder


def flags_of(changes: dict[str, str | None]) -> list[str]:
    flags = {
        "network": "good.keras",
        "dataset": "folder:photos",
        "holdout_images": "8",
        "budget": "macs=60%",
        "run_dir": "new",
        "table": "table.sqlite",
    } | changes
    return [f"--{name}={value}" for name, value in flags.items() if value is not None]


@pytest.fixture(scope="module")
def answers(workplace, request, tmp_path_factory) -> dict[str, subprocess.CompletedProcess[str]]:
    """What the mistakes that are asked for come to."""
    asked = [
        item.callspec.params["name"]
        for item in request.session.items
        if item.module is request.module and "name" in getattr(getattr(item, "callspec", None), "params", {})
    ]
    calls = [flags_of(MISTAKES[name].flags) for name in asked]
    results = called("netadapt_tf.adapt", calls, cwd=workplace, output=tmp_path_factory.mktemp("written"))
    return dict(zip(asked, results, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing_behind(answers, workplace, name):
    result = answers[name]
    assert result.returncode == 2, result.stderr
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    for words in MISTAKES[name].said:
        assert words in sentence
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert not (workplace / "new").exists()
    assert [path.name for path in (workplace / "others").iterdir()] == ["config.json"]
    assert (workplace / "a_file").read_text().startswith("this is no table")
