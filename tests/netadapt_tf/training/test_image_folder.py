import os

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.training import image_folder, images
from netadapt_tf.training.datasets import load_dataset
from tflite_bench.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 24, 3)).astype(np.uint8)


def encoded(suffix: str) -> bytes:
    encode = tf.io.encode_png if suffix == ".png" else tf.io.encode_jpeg
    return encode(PIXELS).numpy()


@pytest.fixture
def photos(tmp_path):
    """Two classes of six images."""
    for name, suffix in (("cats", ".jpg"), ("dogs", ".png")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "photos" / name / f"{number}{suffix}").write_bytes(encoded(suffix))
    return tmp_path / "photos"


def load(folder):
    """As an adaptation does before it trains."""
    return load_dataset(f"folder:{folder}", 8, holdout_images=2, train_images=None, seed=0)


def said_of(folder) -> str:
    with pytest.raises(UserError) as error:
        load(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(params=["held in memory", "too many to be held"])
def either_way(request, monkeypatch):
    if request.param != "held in memory":
        monkeypatch.setattr(images, "_MAX_BYTES_IN_MEMORY", 0)


@pytest.mark.usefixtures("either_way")
def test_whole_images_load(photos):
    data = load(photos)
    assert (data.classes, len(data.full_train), len(data.test)) == (2, 10, 2)
    assert {image.shape for image, _ in data.train.examples()} == {(8, 8, 3)}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cats/2.jpg", b"", "Input is empty"),
        ("cats/2.jpg", b"<html>not found</html>", "Unknown image file format"),
        ("cats/2.jpg", encoded(".jpg")[:-60], "Invalid JPEG data"),
        ("dogs/2.png", encoded(".png")[:-60], "Invalid PNG data"),
        ("dogs/2.png", encoded(".png")[:20], "Invalid PNG"),
    ],
)
@pytest.mark.usefixtures("either_way")
def test_a_file_that_is_no_image_is_named(photos, name, content, reason):
    (photos / name).write_bytes(content)
    text = said_of(photos)
    assert text.startswith(f"{photos / name} is no image that TensorFlow can decode ({reason}")
    assert "{{" not in text
    assert "[Op" not in text


@pytest.mark.usefixtures("either_way")
def test_three_are_named_and_the_others_counted(photos):
    for number in range(5):
        (photos / "cats" / f"{number}.jpg").write_bytes(b"")
    text = said_of(photos)
    wrong = sorted(photos.glob("cats/*.jpg"))[:5]
    in_test = len(wrong) - int(text.split()[0])  # the test split is read after the training set
    assert in_test in (0, 1)
    assert text.count("cats/") == 3
    assert f" and {2 - in_test} others (of the first: Input is empty)" in text


@pytest.mark.usefixtures("either_way")
def test_two_are_both_named(photos):
    for name in ("cats/0.jpg", "cats/1.jpg", "dogs/0.png", "dogs/1.png"):
        (photos / name).write_bytes(b"nothing")
    text = said_of(photos)
    assert text.startswith("4 files") or text.startswith("3 files")
    assert "cats/" in text


@pytest.mark.usefixtures("either_way")
def test_a_broken_link_is_named(photos):
    (photos / "cats" / "6.jpg").symlink_to(photos / "gone.jpg")
    assert "6.jpg is no image" in said_of(photos)


def test_upper_case_suffixes_and_odd_names_are_read(photos):
    for path in photos.glob("cats/*.jpg"):
        path.rename(path.with_suffix(".JPG"))
    (photos / "dogs" / "0.png").rename(os.path.join(os.fsencode(photos), b"dogs", b"\xff\xfe.png"))
    assert len(load(photos).full_train) == 10


def test_hidden_files_and_folders_are_passed_over(photos):
    (photos / "cats" / "._0.jpg").write_bytes(b"what a Mac leaves behind")
    (photos / "cats" / ".thumbnails").mkdir()
    (photos / "cats" / ".thumbnails" / "0.jpg").write_bytes(b"")
    (photos / ".cache").mkdir()
    assert len(load(photos).full_train) == 10


def test_links_that_lead_in_circles_end(photos):
    (photos / "cats" / "loop").symlink_to(photos, target_is_directory=True)
    (photos / "dogs" / "self").symlink_to(photos / "dogs" / "self")
    (photos / "round").symlink_to(photos / "round")
    assert len(load(photos).full_train) == 10


def test_a_class_of_other_files_is_told_what_is_read(photos):
    for path in photos.glob("cats/*.jpg"):
        path.rename(path.with_suffix(".webp"))
    (photos / "cats" / "LICENSE").touch()
    text = said_of(photos)
    assert "cats holds 0 images (.jpg, .jpeg, .png, .bmp, .gif); two are the least" in text
    assert "not read (.webp, LICENSE)" in text


def test_a_folder_without_classes_is_told(photos):
    assert "at least two; it holds 0" in said_of(photos / "cats")
    assert "there is no folder" in said_of(photos / "cats" / "0.jpg")


@pytest.mark.parametrize("denied", ["photos", "cats", "deeper"])
def test_a_folder_that_may_not_be_read_is_named(photos, monkeypatch, denied):
    (photos / "cats" / "deeper").mkdir()
    scandir, listdir = os.scandir, os.listdir

    def refusing(read):
        def refuse(path):
            if os.path.basename(path) == denied:
                raise PermissionError(13, "Permission denied", str(path))
            return read(path)

        return refuse

    monkeypatch.setattr(os, "scandir", refusing(scandir))  # the superuser may read everything
    monkeypatch.setattr(os, "listdir", refusing(listdir))
    text = said_of(photos)
    assert text.endswith(f"{denied} cannot be read: Permission denied")


def test_large_sets_are_read_once_and_not_held(photos, monkeypatch):
    monkeypatch.setattr(images, "_MAX_BYTES_IN_MEMORY", 0)
    train, _ = image_folder.load(photos, 8, 0)
    assert train.in_memory() is train
