"""Labelled images as the data set has them, of any size, by number: in memory, or encoded wherever they are kept."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

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

    def check(self, indices: np.ndarray, cause: Exception | None = None) -> None:
        """As of any originals: each image is decoded once."""
        undecodable = self._undecodable(indices)
        if len(undecodable):
            raise UserError(self._complaint(undecodable)) from cause

    def _undecodable(self, indices: np.ndarray) -> np.ndarray:
        """Those of these numbers whose images cannot be decoded, int64 [K]."""

        def looked_at(index: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return index, tf.reduce_max(self.cut(found, None))  # what is not asked for would not be computed

        good = []
        with progress("checking images", len(indices)) as bar:
            places = tf.data.Dataset.from_tensor_slices(indices).map(lambda index: (index, self.find(index)))
            each = places.map(looked_at, num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
            for batch, _ in each.batch(_CHECK_BATCH):
                good += batch.numpy().tolist()
                bar.update(len(batch))
        return np.setdiff1d(indices, good)

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
