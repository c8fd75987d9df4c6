import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.training import image_folder, images
from netadapt_tf.training.data_names import AUGMENTATIONS
from netadapt_tf.training.image_dataset import load_image_dataset
from tests.tiny_images import assert_can_be_sent, examples
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
    return load_image_dataset(f"folder:{folder}", 8, holdout_images=2, train_images=None, seed=0)


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
    assert {image.shape for image, _ in examples(data.train)} == {(8, 8, 3)}


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_other_processes_see_the_same_batches(photos, augmentation):
    assert_can_be_sent(load_image_dataset(f"folder:{photos}", 8, 2, None, 0, augmentation))


@pytest.mark.parametrize(
    ("name", "damaged", "reason"),
    [
        ("cats/2.jpg", lambda whole: b"", "Input is empty"),
        ("cats/2.jpg", lambda whole: b"<html>not found</html>", "Unknown image file format"),
        ("cats/2.jpg", lambda whole: whole[:-60], "jpeg::Uncompress failed"),
        ("dogs/2.png", lambda whole: whole[:-60], "Invalid PNG data"),
        ("dogs/2.png", lambda whole: whole[:20], "Invalid PNG"),
    ],
)
@pytest.mark.usefixtures("either_way")
def test_a_file_that_is_no_image_is_named(photos, name, damaged, reason):
    (photos / name).write_bytes(damaged((photos / name).read_bytes()))
    text = said_of(photos)
    assert text.startswith(f"{photos / name} is no image that TensorFlow can decode ({reason}")
    assert "{{" not in text
    assert "[Op" not in text


@pytest.mark.parametrize(
    ("count", "others"), [(2, "1.png (of the"), (3, "2.png (of the"), (4, " and 1 other ("), (5, " and 2 others (")]
)
@pytest.mark.usefixtures("either_way")
def test_three_are_named_and_the_others_counted(photos, count, others):
    train = image_folder.find(photos).splits(8, 7).train  # the seed that leaves 0.png to 4.png out of the test split
    for number in range(count):
        (photos / "dogs" / f"{number}.png").write_bytes(b"")
    with pytest.raises(UserError) as error:
        train.in_memory()
    assert str(error.value).startswith(f"{count} files are no images that TensorFlow can decode: {photos}/dogs/0.png, ")
    assert others in str(error.value)
    assert str(error.value).endswith("first: Input is empty); mend or remove them")


@pytest.mark.usefixtures("either_way")
def test_a_broken_link_is_named(photos):
    (photos / "cats" / "6.jpg").symlink_to(photos / "gone.jpg")
    assert "6.jpg is no image" in said_of(photos)


def test_upper_case_suffixes_and_odd_names_are_read(photos):
    for path in photos.glob("cats/*.jpg"):
        path.rename(path.with_suffix(".JPG"))
    os.rename(photos / "dogs" / "0.png", os.path.join(os.fsencode(photos), b"dogs", b"\xff\xfe.png"))
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
    train = image_folder.find(photos).splits(8, 0).train
    assert train.in_memory() is train


def test_the_hold_out_images_of_imagenet_are_not_too_many():
    """As docs/data.md has them: every proposal is judged by all of them."""
    assert images._MAX_BYTES_IN_MEMORY >= 10_000 * 224 * 224 * 3


@dataclass(frozen=True)
class SplitFolders:
    """A folder of splits, to which more can be added."""

    root: Path

    def __call__(self, name: str, count: int = 3) -> None:
        for label in ("cats", "dogs"):
            (self.root / name / label).mkdir(parents=True)
            for number in range(count):
                (self.root / name / label / f"{number}.png").write_bytes(encoded(".png"))


@pytest.fixture
def splits(photos):
    """Training images of two classes, six each, and what puts other splits beside them."""
    root = photos.parent / "splits"
    root.mkdir()
    photos.rename(root / "train")
    return SplitFolders(root)


@pytest.mark.parametrize("name", ["validation", "val", "test"])
def test_a_split_beside_train_is_the_test_split(splits, name):
    splits(name)
    data = load(splits.root)
    assert (data.classes, len(data.full_train), len(data.train), len(data.holdout), len(data.test)) == (2, 12, 10, 2, 6)


@pytest.mark.parametrize("name", ["validation", "val"])
@pytest.mark.parametrize(("holdout_images", "count"), [(None, 10), (4, 4), (10, 10)])
def test_validation_beside_a_test_split_ranks_proposals(splits, name, holdout_images, count):
    splits(name, 5)
    splits("test", 3)
    data = load_image_dataset(f"folder:{splits.root}", 8, holdout_images, None, 0)
    assert (len(data.full_train), len(data.train), len(data.holdout), len(data.test)) == (12, 12, count, 6)
    assert list(np.bincount(data.holdout.own_labels)) == [count // 2] * 2
    assert len(load_image_dataset(f"folder:{splits.root}", 8, holdout_images, 4, 0).train) == 4


def test_more_hold_out_images_than_validation_images_are_refused(splits):
    splits("val", 5)
    splits("test", 3)
    with pytest.raises(UserError, match=r"holdout_images=11: .* validation split of .* has 10 images"):
        load_image_dataset(f"folder:{splits.root}", 8, 11, None, 0)


def test_a_test_folder_without_labels_is_passed_over(splits):
    splits("val", 5)
    (splits.root / "test").mkdir()
    (splits.root / "test" / "ILSVRC2012_test_00000001.JPEG").write_bytes(encoded(".jpg"))
    data = load(splits.root)
    assert (len(data.full_train), len(data.holdout), len(data.test)) == (12, 2, 10)


def test_splits_of_other_classes_are_told_apart(splits):
    splits("val")
    (splits.root / "val" / "cats").rename(splits.root / "val" / "kittens")
    text = said_of(splits.root)
    assert f"only {splits.root / 'train'} has cats, and only {splits.root / 'val'} has kittens" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda add: (add("val"), add("validation")), "holds validation and val; one of them"),
        (lambda add: None, "holds train alone; train and one of validation, val, test are needed"),
        (
            lambda add: (add("val"), (add.root / "cats").mkdir()),
            "holds train and val, which are splits, and cats besides",
        ),
        (
            lambda add: (add("val"), add("test"), (add.root / "train").rename(add.root / ".t")),
            "holds test and val alone",
        ),
        (lambda add: add("test", 0), "cats holds 0 images"),
        (lambda add: (add.root / "test").mkdir(), "only "),
    ],
)
def test_folders_that_are_no_splits_are_explained(splits, change, said):
    change(splits)
    assert said in said_of(splits.root)


def test_classes_may_be_called_like_splits(photos):
    (photos / "cats").rename(photos / "train")
    assert len(load(photos).full_train) == 10


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("name", ["train/dogs/3.png", "val/dogs/3.png", "test/dogs/1.png"])
def test_a_file_that_is_no_image_is_named_in_every_split(splits, name, augmentation):
    splits("val", 5)
    splits("test", 3)
    (splits.root / name).write_bytes(encoded(".png")[:-60])
    with pytest.raises(UserError) as error:
        load_image_dataset(f"folder:{splits.root}", 8, None, None, 0, augmentation)
    assert str(error.value).startswith(f"{splits.root / name} is no image that TensorFlow can decode (Invalid PNG data")
