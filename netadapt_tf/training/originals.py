"""Labelled images as the data set has them, of any size, by number: in memory, or encoded wherever they are kept."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from absl import logging

from netadapt_tf.training.views import Window
from netadapt_tf.wording import NAMED, some
from tflite_bench.errors import UserError
from tflite_bench.progress import progress

_CHECK_BATCH = 256


@dataclass(frozen=True)
class Originals(ABC):
    """Images and their labels.

    Finding and cutting are two steps: images are found one after the other, which is quick, and cut in parallel.

    Attributes:
        labels: int64 [N].
        classes: number of classes.
    """

    labels: np.ndarray
    classes: int

    @property
    @abstractmethod
    def channels(self) -> int:
        """Of every image: 1 or 3."""

    @abstractmethod
    def find(self, index: tf.Tensor) -> tf.Tensor:
        """What `cut` takes, of the image of this number (int64 [])."""

    @abstractmethod
    def cut(self, found: tf.Tensor, window: Window | None) -> tf.Tensor:
        """A window of the image that was found, or all of it: uint8 [h, w, C]."""

    def decoded(self, indices: np.ndarray, most_bytes: int) -> "Originals":
        """Originals of the same numbers, in memory where these images (int64 [M]) take no more than that, else itself.

        Each of them has been decoded then.

        Raises:
            UserError: some cannot be; the message names them.
        """
        del indices, most_bytes
        return self

    def check(self, indices: np.ndarray, cause: Exception | None = None) -> None:  # noqa: B027 - decoded ones are whole
        """Sees that each of these images (int64 [M]) can be decoded.

        Args:
            indices: which images.
            cause: what gave reason to look.

        Raises:
            UserError: some cannot; the message names them.
        """


@dataclass(frozen=True)
class DecodedImages(Originals):
    """Images in memory.

    Attributes:
        images: uint8 [N, H, W, 1 or 3].
    """

    images: tf.Tensor

    @property
    def channels(self) -> int:
        """Of every image: 1 or 3."""
        return self.images.shape[-1]

    def find(self, index: tf.Tensor) -> tf.Tensor:
        """The image, uint8 [H, W, C]; or those of several numbers, uint8 [..., H, W, C]."""
        return tf.gather(self.images, index)

    def cut(self, found: tf.Tensor, window: Window | None) -> tf.Tensor:
        """A window of the image, or all of it: uint8 [h, w, C]."""
        if window is None:
            return found
        shape = tf.shape(found)
        return _slice(found, window(shape[0], shape[1]))


@dataclass(frozen=True)
class DecodedImagesOfAnySize(Originals):
    """Images in memory, one after the other, each with a size of its own.

    Attributes:
        values: of all images, uint8 [bytes].
        begins: int64 [N], where in `values` each image begins.
        sizes: int64 [N, 2], height and width of each.
        channels: of every image.
    """

    values: tf.Tensor
    begins: np.ndarray
    sizes: np.ndarray
    channels: int = 3

    def find(self, index: tf.Tensor) -> tf.Tensor:
        """The number itself: int64 []."""
        return index

    def cut(self, found: tf.Tensor, window: Window | None) -> tf.Tensor:
        """A window of the image of this number, or all of it: uint8 [h, w, C]."""
        size = tf.gather(self.sizes, found)
        of_window = tf.concat([[0, 0], size], 0)
        if window is not None:
            of_window = tf.cast(window(*tf.unstack(tf.cast(size, tf.int32))), tf.int64)
        top, left, height, width = tf.unstack(of_window)
        row = size[1] * self.channels
        begin = tf.gather(self.begins, found) + top * row
        rows = tf.reshape(self.values[begin : begin + height * row], (height, size[1], self.channels))
        return tf.ensure_shape(rows[:, left : left + width], (None, None, self.channels))


@dataclass(frozen=True)
class EncodedImages(Originals):
    """JPEG, PNG, BMP or GIF files, or what would be in them, that are read and decoded whenever they are needed.

    Attributes:
        place: index (int64 []) -> where the image is, or what holds it (string []).
        encoded: that -> the encoded image (string []).
        name: says which image one is, by number.
        channels: of the decoded image: 1 or 3.
    """

    place: Callable[[tf.Tensor], tf.Tensor]
    encoded: Callable[[tf.Tensor], tf.Tensor]
    name: Callable[[int], str]
    channels: int = 3

    def find(self, index: tf.Tensor) -> tf.Tensor:
        """Where the image is, or what holds it, string []."""
        return self.place(index)

    def cut(self, found: tf.Tensor, window: Window | None) -> tf.Tensor:
        """A window of the decoded image, or all of it: uint8 [h, w, C]. Of a JPEG only the window is decoded."""
        content = self.encoded(found)
        if window is None:
            return self._decoded(content)

        def of_jpeg() -> tf.Tensor:
            height, width = tf.unstack(tf.io.extract_jpeg_shape(content)[:2])
            return tf.image.decode_and_crop_jpeg(content, window(height, width), channels=self.channels)

        def of_other() -> tf.Tensor:
            image = self._decoded(content)
            shape = tf.shape(image)
            return _slice(image, window(shape[0], shape[1]))

        return tf.ensure_shape(tf.cond(tf.io.is_jpeg(content), of_jpeg, of_other), (None, None, self.channels))

    def decoded(self, indices: np.ndarray, most_bytes: int) -> Originals:
        """As of any originals: each image is decoded once, or twice where they are too many."""
        images: dict[int, np.ndarray] = {}
        room = most_bytes
        with progress("reading images", len(indices)) as bar:
            for index, image in self._all(indices, lambda found: self.cut(found, None)):
                images[int(index)] = image.numpy()
                room -= images[int(index)].nbytes
                if room < 0:
                    break
                bar.update()
        if room < 0:
            logging.info("%d images are too many to be held in memory.", len(indices))
            self.check(indices)
            return self
        self._refuse(np.setdiff1d(indices, list(images)))
        begins, sizes = np.zeros(len(self.labels), np.int64), np.zeros((len(self.labels), 2), np.int64)
        values, end = np.empty(most_bytes - room, np.uint8), 0
        for index in list(images):
            image = images.pop(index)  # at no time is everything there twice
            begins[index], sizes[index] = end, image.shape[:2]
            values[end : end + image.size] = image.ravel()
            end += image.size
        return DecodedImagesOfAnySize(self.labels, self.classes, tf.constant(values), begins, sizes, self.channels)

    def check(self, indices: np.ndarray, cause: Exception | None = None) -> None:
        """As of any originals: each image is decoded once."""
        good = []
        with progress("checking images", len(indices)) as bar:
            # What is not asked for would not be computed.
            looked_at = self._all(indices, lambda found: tf.reduce_max(self.cut(found, None)))
            for batch, _ in looked_at.batch(_CHECK_BATCH):
                good += batch.numpy().tolist()
                bar.update(len(batch))
        self._refuse(np.setdiff1d(indices, good), cause)

    def _all(self, indices: np.ndarray, look: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
        """What is seen in each image that can be decoded, with its number."""
        places = tf.data.Dataset.from_tensor_slices(indices).map(lambda index: (index, self.find(index)))
        seen = places.map(lambda index, found: (index, look(found)), num_parallel_calls=tf.data.AUTOTUNE)
        return seen.ignore_errors()

    def _refuse(self, undecodable: np.ndarray, cause: Exception | None = None) -> None:
        """Complains of images that cannot be decoded, if there are any."""
        if len(undecodable):
            raise UserError(self._complaint(undecodable)) from cause

    def _decoded(self, content: tf.Tensor) -> tf.Tensor:
        """Of an animation the first image: uint8 [H, W, C]."""
        image = tf.io.decode_image(content, channels=self.channels, expand_animations=False)
        return tf.ensure_shape(image, (None, None, self.channels))

    def _complaint(self, undecodable: np.ndarray) -> str:
        """What to say about images that are none."""
        named = [self.name(int(index)) for index in undecodable[:NAMED]]
        try:
            self.cut(self.find(tf.constant(undecodable[0])), None)
            reason = "though now it can"
        except tf.errors.OpError as error:
            reason = words(error)
        if len(undecodable) == 1:
            return f"{named[0]} is no image that TensorFlow can decode ({reason}); mend or remove it"
        return (
            f"{len(undecodable)} files are no images that TensorFlow can decode: {some(named, len(undecodable))} (of "
            f"the first: {reason}); mend or remove them"
        )


def words(error: tf.errors.OpError) -> str:
    """TensorFlow's own words, without the names of its nodes."""
    return " ".join(re.sub(r"\{\{.*?\}\}|\[(\[|Op:).*", "", error.message, flags=re.DOTALL).split()).rstrip(".")


def _slice(image: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    """[H, W, C] -> [h, w, C]."""
    top, left, height, width = tf.unstack(window)
    part = image[top : top + height, left : left + width]
    return tf.ensure_shape(part, (None, None, image.shape[-1]))
