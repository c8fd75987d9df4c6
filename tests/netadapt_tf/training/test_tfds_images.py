import builtins
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from netadapt_tf.training import images
from netadapt_tf.training.image_dataset import find_images, load_image_dataset
from tests.tiny_images import assert_can_be_sent, examples
from tflite_bench.errors import UserError

CLASSES = 3
FEATURES = {"image": tfds.features.Image(shape=(None, None, 3)), "label": tfds.features.ClassLabel(num_classes=CLASSES)}


def example(number: int, label: int) -> dict:
    """An image of its own size, that is its number all over."""
    return {"image": np.full((9 + number % 5, 12, 3), number, np.uint8), "label": label}


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "tfds"


def prepare(data_dir, name="shapes", features=FEATURES, examples=example, unlabelled=(), file_format=None, **splits):
    """Writes a data set as TFDS does, in several files; returns its folder."""
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: [
                (number, examples(number, -1 if split in unlabelled else number % CLASSES)) for number in range(count)
            ]
            for split, count in splits.items()
        },
        data_dir=str(data_dir),
        file_format=file_format,
        disable_shuffling=True,
    )
    return data_dir / name / "1.0.0"


def load(name="shapes", holdout_images=6, augmentation="none"):
    return load_image_dataset(f"tfds:{name}", 8, holdout_images, None, 0, augmentation)


def said_of(name="shapes", **options) -> str:
    with pytest.raises(UserError) as error:
        load(name, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def numbers(part, seed=None) -> list[int]:
    """Of the images, each of which has the label that it should have."""
    found: list[int] = []
    for batch, labels in part.batched(100, part.order(seed)):
        found += batch.numpy()[:, 0, 0, 0].tolist()
        assert np.all(batch == batch[:, :1, :1, :1])
        assert np.all(batch[:, 0, 0, 0].numpy() % CLASSES == labels)
    return found


@pytest.fixture(params=["held in memory", "too many to be held"])
def either_way(request, monkeypatch):
    if request.param != "held in memory":
        monkeypatch.setattr(images, "_MAX_BYTES_IN_MEMORY", 0)


@pytest.mark.usefixtures("either_way")
def test_each_image_is_read_once_and_with_its_label(data_dir):
    prepare(data_dir, train=60, test=12)
    data = load()
    assert data.classes == CLASSES
    assert sorted(numbers(data.train) + numbers(data.holdout)) == sorted(numbers(data.full_train, 1)) == list(range(60))
    assert sorted(numbers(data.test)) == list(range(12))
    assert list(np.bincount(data.holdout.own_labels)) == [2, 2, 2]
    assert numbers(data.train, 5) == numbers(load("shapes:1.0.0").train, 5) != numbers(data.train, 6)


@pytest.mark.usefixtures("either_way")
def test_other_processes_see_the_same_batches(data_dir):
    prepare(data_dir, train=60, test=12)
    assert_can_be_sent(load())


def test_records_are_found_in_any_file(data_dir, monkeypatch):
    folder = prepare(data_dir, train=60, test=12)
    whole = numbers(load().full_train)
    shards = [whole[:25], whole[25:26], whole[26:]]
    (file,) = folder.glob("*train*")
    records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    file.unlink()
    for number, shard in enumerate(shards):
        with tf.io.TFRecordWriter(str(folder / f"shapes-train.tfrecord-{number:05d}-of-00003")) as writer:
            for _ in shard:
                writer.write(records.pop(0))
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"60"', '"25", "1", "34"'))
    monkeypatch.setattr(images, "_MAX_BYTES_IN_MEMORY", 0)
    assert numbers(load().full_train) == whole
    assert sorted(numbers(load().full_train, 3)) == list(range(60))


@pytest.mark.parametrize(
    ("splits", "unlabelled", "sizes"),  # sizes: train, hold-out, full train, test
    [
        ({"train": 60}, (), (42, 6, 48, 12)),
        ({"train": 60, "test": 9}, (), (54, 6, 60, 9)),
        ({"train": 60, "validation": 12}, (), (54, 6, 60, 12)),
        ({"train": 60, "validation": 12, "test": 9}, (), (60, 6, 60, 9)),
        ({"train": 60, "validation": 12, "test": 9}, ("test",), (54, 6, 60, 12)),
    ],
)
def test_splits_are_those_that_have_labels(data_dir, splits, unlabelled, sizes):
    prepare(data_dir, unlabelled=unlabelled, **splits)
    data = load()
    assert tuple(map(len, (data.train, data.holdout, data.full_train, data.test))) == sizes
    assert len(set(numbers(data.full_train))) == sizes[2]


def test_grey_images_stay_grey(data_dir):
    grey = {"image": tfds.features.Image(shape=(6, 6, 1)), "label": FEATURES["label"]}
    prepare(
        data_dir,
        features=grey,
        examples=lambda number, label: {"image": np.full((6, 6, 1), number, np.uint8), "label": label},
        train=30,
    )
    data = load()
    assert next(iter(examples(data.train)))[0].shape == (8, 8, 1)
    assert next(iter(data.datasets(4, "tf").train(0)))[0].shape == (4, 8, 8, 3)
    numbers(data.train)


@pytest.mark.parametrize("augmentation", ["flip", "imagenet"])
def test_they_may_be_augmented(data_dir, augmentation):
    prepare(data_dir, train=60, test=12)
    data = load(augmentation=augmentation)
    assert sorted(numbers(data.train, 1) + numbers(data.holdout)) == list(range(60))


def test_without_the_extra_it_is_named(monkeypatch):
    real = builtins.__import__

    def without_tfds(name, *others, **more):
        if name == "tensorflow_datasets":
            raise ImportError("No module named 'tensorflow_datasets'")
        return real(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", without_tfds)
    assert "pip install 'netadapt_tf[tfds]'" in said_of()


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize("name", ["no_such_set", "beans:9.9.9", "beans/no_such_config", "Not A Name", "a:b:c", "/"])
def test_unknown_names_are_refused(name):
    text = said_of(name)
    assert text.startswith("TensorFlow Datasets ")
    assert name.split(":")[0] in text


def test_what_cannot_be_downloaded_is_explained(data_dir, monkeypatch):
    def no_network(*_, **__):
        raise ConnectionError("Max retries exceeded\nwith url: /ibeans/train.zip")

    monkeypatch.setattr(tfds.download.DownloadManager, "download", no_network)
    monkeypatch.setattr(tfds.download.DownloadManager, "download_and_extract", no_network)
    text = said_of("beans")
    assert f"not on this machine ({data_dir}/beans/" in text
    assert "cannot be downloaded and prepared: Max retries exceeded with url" in text


def test_what_must_be_fetched_by_hand_is_explained(data_dir):
    text = said_of("imagenet2012")
    assert "fetched by hand: manual_dir should contain two files: ILSVRC2012_img_train.tar and" in text
    assert f"{data_dir}/downloads/manual does not exist" in text


@pytest.mark.parametrize(
    ("features", "examples", "said"),
    [
        (
            {"image": FEATURES["image"], "label": tfds.features.Scalar(np.int64)},
            example,
            "an image and a class label are needed, it has image (Image), label (Scalar)",
        ),
        (
            {"text": tfds.features.Text(), "label": FEATURES["label"]},
            lambda number, label: {"text": str(number), "label": label},
            "it has label (ClassLabel), text (Text)",
        ),
        (
            {"image": tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16), "label": FEATURES["label"]},
            lambda number, label: {"image": np.zeros((4, 4, 1), np.uint16), "label": label},
            "holds images of uint16",
        ),
    ],
)
def test_what_is_not_for_classification_is_refused(data_dir, features, examples, said):
    prepare(data_dir, features=features, examples=examples, train=12)
    assert said in said_of()


def test_classes_are_known_before_any_record_is_read(data_dir):
    folder = prepare(data_dir, train=12, test=3)
    for file in folder.glob("*tfrecord*"):
        file.unlink()
    source = find_images("tfds:shapes")
    assert source.classes == CLASSES
    with pytest.raises(UserError, match=r"the split .* of tfds:shapes cannot be read"):
        source.splits(8, 0)


def test_splits_without_train_or_images_are_refused(data_dir):
    prepare(data_dir, test=12)
    assert "should have a split named train; it has test" in said_of()
    prepare(data_dir, name="few", train=3)
    assert "tfds:few holds 3 images of 3 classes: too few for a test split" in said_of("few")
    prepare(data_dir, name="many", train=30, test=3)
    assert "--holdout_images=30 should leave some of the 30" in said_of("many", holdout_images=30)


def test_labels_that_are_missing_within_a_split_are_noticed(data_dir):
    prepare(data_dir, examples=lambda number, label: example(number, -1 if number == 7 else label), train=12, test=3)
    assert "the split train of tfds:shapes holds images without a label of its 3 classes" in said_of()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda whole: whole[:-9], "truncated record"),
        (lambda whole: whole[:200] + b"?" + whole[201:], "corrupted record"),
        (lambda whole: b"", "0 of 12 images are there"),
    ],
)
def test_damaged_files_are_told(data_dir, damage, reason):
    folder = prepare(data_dir, train=12, test=3)
    (file,) = folder.glob("*train*")
    file.write_bytes(damage(file.read_bytes()))
    text = said_of()
    assert text.startswith("the split train of tfds:shapes cannot be read (")
    assert reason in text
    assert text.endswith(f"remove {folder}, and it is prepared again")
    os.remove(file)
    assert "the split train of tfds:shapes cannot be read (" in said_of()


@pytest.mark.usefixtures("either_way")
def test_a_broken_image_is_named(data_dir, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"<html>not found</html>")

    def examples(number, label):
        return example(number, label) | ({"image": str(broken)} if number == 4 else {})

    prepare(data_dir, examples=examples, train=12, test=3)
    text = said_of()
    assert text.startswith(
        "image 4 of the split train of tfds:shapes is no image that TensorFlow can decode (Unknown image"
    )


def test_other_formats_of_files_are_refused(data_dir):
    prepare(data_dir, train=12, test=3, file_format="array_record")
    assert "as array_record; tfrecord is needed" in said_of()
