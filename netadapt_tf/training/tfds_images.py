"""Images of TensorFlow Datasets (TFDS), an optional extra of this package.

TFDS reads its data sets one record after the other; hold-out sets, balanced parts and repeatable orders need the
images by number. So each split is gone through once, which gives the labels and the place of every record in its
TFRecord files; afterwards a record is read from its place, without those before it. Numbers follow the order of the
files, so an order is decided by the seed alone. This works on the files that TFDS prepares by default, whatever their
size, and costs 24 bytes an image; its other random access (`data_source`) wants ArrayRecord files, which those who
have ImageNet would have to prepare anew.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from netadapt_tf.training.images import ImageSet, Source, Splits, cut_test
from netadapt_tf.training.originals import EncodedImages, words
from netadapt_tf.training.views import View
from netadapt_tf.wording import one_line
from tflite_bench.binary import quiet_native_code
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

_HEADER_BYTES, _FOOTER_BYTES = 12, 4  # of a record in a TFRecord file: its length and two checksums
_BUFFER_BYTES = 1 << 20
_BATCH = 1024


@dataclass(frozen=True)
class _RecordForm:
    """How the records of a data set are to be read.

    Attributes:
        features: of the image and the label alone.
        skip_image: TFDS's decoders that leave the image encoded.
        image: name of the image.
        label: name of the label.
        classes: number of classes.
        channels: of the images, 1 or 3.
    """

    features: Any
    skip_image: dict[str, Any]
    image: str
    label: str
    classes: int
    channels: int

    def parsed(self, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Encoded image (string []) and label (int64 [])."""
        example = self.features.deserialize_example(record, decoders=self.skip_image)
        return example[self.image], example[self.label]


@dataclass(frozen=True)
class _Records:
    """Where the records of a split are.

    Attributes:
        files: their names.
        file: by record, index into `files`, int64 [N].
        offset: by record, in bytes, int64 [N].
        labels: by record, int64 [N].
    """

    files: tuple[str, ...]
    file: np.ndarray
    offset: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class _Numbered:
    """A split's records by number; it can be sent to other processes.

    Attributes:
        files: names of its files, string [F].
        file: by record, index into `files`, int64 [N].
        offset: by record, in bytes, int64 [N].
        form: how they are to be read.
        what: the split, for messages.
    """

    files: tf.Tensor
    file: tf.Tensor
    offset: tf.Tensor
    form: _RecordForm
    what: str

    def record(self, index: tf.Tensor) -> tf.Tensor:
        """The record of this number (int64 []), string []."""
        from_there = tf.raw_ops.TFRecordDatasetV2(
            filenames=self.files[self.file[index]][None],
            compression_type="",
            buffer_size=0,
            byte_offsets=self.offset[index][None],
            metadata="",
        )
        strings = {"output_types": [tf.string], "output_shapes": [[]]}
        one = tf.raw_ops.TakeDataset(input_dataset=from_there, count=1, **strings)
        (record,) = tf.raw_ops.DatasetToSingleElement(dataset=one, **strings)
        return record

    def encoded(self, record: tf.Tensor) -> tf.Tensor:
        """Its image, string []."""
        return self.form.parsed(record)[0]

    def name(self, index: int) -> str:
        """Which image it is, for messages."""
        return f"image {index} of {self.what}"


def find(name: str) -> Source:
    """A data set, which TFDS prepares first where that has not been done.

    `test` is the test split, if it is labelled, and `validation` is kept apart; without `test` (ImageNet) `validation`
    is the test split; without either a fifth of `train`, drawn by seed.

    Args:
        name: as `tensorflow_datasets.builder` takes it: `NAME`, `NAME/CONFIG`, `NAME:VERSION`.

    Returns:
        A source whose `splits` goes through the records for their labels.

    Raises:
        UserError: TFDS is not installed, knows no such data set or cannot prepare it; it is none of labelled images.
            `splits` raises it for records that are damaged or have no label.
    """
    label = f"tfds:{name}"
    try:
        import tensorflow_datasets as tfds  # an extra
    except ImportError as error:
        raise UserError(
            f"{label} needs TensorFlow Datasets, an extra of this package: pip install 'netadapt_tf[tfds]' ({error})"
        ) from error
    builder = _prepared(tfds, name, label)
    form = _record_form(tfds, builder, label)
    names = [split for split in ("train", "test", "validation") if _has(builder, split)]
    if names[:1] != ["train"]:
        raise UserError(f"{label} should have a split named train; it has {', '.join(builder.info.splits) or 'none'}")

    def images_of(resolution: int, seed: int) -> Splits:
        labelled = [split for split in names if split == "train" or _is_labelled(builder, split, form, label)]
        images = [_images(builder, split, form, label, resolution) for split in labelled]
        return Splits(*images) if len(images) > 1 else cut_test(images[0], label, seed)

    return Source(label, form.classes, images_of)


def _prepared(tfds: Any, name: str, label: str) -> Any:
    """The builder of a data set that is on this machine."""
    try:
        builder = tfds.builder(name)
    except tfds.core.DatasetNotFoundError as error:
        raise UserError(
            f"TensorFlow Datasets knows no data set {name!r}, and none of this name is prepared in {_data_dir(tfds)}"
        ) from error
    except Exception as error:  # of a version or configuration that there is not, TFDS raises what comes to hand
        raise UserError(f"TensorFlow Datasets cannot find {label}: {one_line(error, whole=True)}") from error
    if not builder.is_prepared():
        logging.info("Preparing %s in %s.", label, builder.data_path)
        try:
            builder.download_and_prepare()
        except Exception as error:  # whatever downloads, archives and generators raise
            by_hand = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
            if by_hand:
                raise UserError(
                    f"{label} is not prepared, and some of its files have to be fetched by hand: "
                    f"{one_line(by_hand, whole=True)} (TensorFlow Datasets said: {one_line(error, whole=True)})"
                ) from error
            raise UserError(
                f"{label} is not on this machine ({builder.data_path}) and cannot be downloaded and prepared: "
                f"{one_line(error, whole=True)}"
            ) from error
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise UserError(
            f"{label} is kept in {builder.data_path} as {builder.info.file_format.value}; tfrecord is needed, which is "
            "what TensorFlow Datasets prepares unless it is told otherwise"
        )
    return builder


def _record_form(tfds: Any, builder: Any, label: str) -> _RecordForm:
    """Which features are the image and the label."""
    given = builder.info.features
    features = dict(given.items()) if isinstance(given, tfds.features.FeaturesDict) else {}
    keys = builder.info.supervised_keys or ("image", "label")
    image, answer = (features.get(key) if isinstance(key, str) else None for key in keys[:2])
    if not isinstance(image, tfds.features.Image) or not isinstance(answer, tfds.features.ClassLabel):
        has = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in sorted(features.items()))
        raise UserError(
            f"{label} is not for image classification: an image and a class label are needed, it has {has or 'neither'}"
        )
    if image.np_dtype != np.uint8:
        raise UserError(f"{label} holds images of {np.dtype(image.np_dtype).name}; uint8 is needed")
    return _RecordForm(
        features=tfds.features.FeaturesDict({keys[0]: image, keys[1]: answer}),
        skip_image={keys[0]: tfds.decode.SkipDecoding()},
        image=keys[0],
        label=keys[1],
        classes=answer.num_classes,
        channels=1 if image.shape[-1] == 1 else 3,
    )


def _has(builder: Any, split: str) -> bool:
    return split in builder.info.splits and builder.info.splits[split].num_examples > 0


def _is_labelled(builder: Any, split: str, form: _RecordForm, label: str) -> bool:
    """Whether the first record has a label: the tests of competitions have -1 instead."""
    first = _records(builder, split, form, label, at_most=1)
    if first.labels[0] >= 0:
        return True
    logging.info("The split %s of %s has no labels; it is passed over.", split, label)
    return False


def _images(builder: Any, split: str, form: _RecordForm, label: str, resolution: int) -> ImageSet:
    records = _records(builder, split, form, label)
    if not np.all((records.labels >= 0) & (records.labels < form.classes)):
        raise UserError(f"the split {split} of {label} holds images without a label of its {form.classes} classes")
    files, file, offset = (tf.constant(part) for part in (records.files, records.file, records.offset))
    numbered = _Numbered(files, file, offset, form, f"the split {split} of {label}")
    originals = EncodedImages(
        records.labels, form.classes, numbered.record, numbered.encoded, numbered.name, form.channels
    )
    return ImageSet(originals, np.arange(len(records.labels)), View(resolution))


def _records(builder: Any, split: str, form: _RecordForm, label: str, at_most: int = -1) -> _Records:
    """Goes through a split, or its first records, in the order of its files.

    Raises:
        UserError: a file is missing or damaged.
    """
    info = builder.info.splits[split]
    files = tuple(str(path) for path in info.filepaths)
    file: list[int] = []
    offset: list[int] = []
    labels: list[int] = []

    def looked_at(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.strings.length(record), form.parsed(record)[1]

    try:
        with progress(f"reading the labels of {split}", info.num_examples if at_most < 0 else 0) as bar:
            for number, name in enumerate(files):
                end = 0
                with quiet_native_code():
                    records = tf.data.TFRecordDataset(name, buffer_size=_BUFFER_BYTES)
                records = records.take(at_most - len(labels) if at_most >= 0 else -1)
                for lengths, answers in records.map(looked_at).batch(_BATCH):
                    ends = end + np.cumsum(lengths.numpy() + np.int64(_HEADER_BYTES + _FOOTER_BYTES))
                    offset += [end, *ends[:-1].tolist()]
                    end = int(ends[-1])
                    labels += answers.numpy().tolist()
                    file += [number] * len(ends)
                    bar.update(len(ends))
    except tf.errors.OpError as error:
        raise UserError(_damaged(builder, split, label, words(error))) from error
    if at_most < 0 and len(labels) != info.num_examples:
        raise UserError(_damaged(builder, split, label, f"{len(labels)} of {info.num_examples} images are there"))
    return _Records(files, *(np.array(part, np.int64) for part in (file, offset, labels)))


def _damaged(builder: Any, split: str, label: str, reason: str) -> str:
    return (
        f"the split {split} of {label} cannot be read ({reason}); remove {builder.data_path}, and it is prepared again"
    )


def _data_dir(tfds: Any) -> str:
    """Where TFDS keeps its data sets."""
    return str(tfds.core.constants.DATA_DIR)
