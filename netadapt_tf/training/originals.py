"""Labelled images as the data set has them, of any size, by number: in memory, or encoded wherever they are kept."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from netadapt_tf.training.held import Held, aligned
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

    def held(self, indices: np.ndarray, most_bytes: int) -> "Originals | None":
        """These images (int64 [M]) in memory, under the same numbers; None where they take more than that.

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

    images: Held

    @property
    def channels(self) -> int:
        """Of every image: 1 or 3."""
        return self.images.shape[-1]

    def find(self, index: tf.Tensor) -> tf.Tensor:
        """The image, uint8 [H, W, C]; or those of several numbers, uint8 [..., H, W, C]."""
        return tf.gather(self.images.tensor, index)

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

    values: Held
    begins: Held
    sizes: Held
    channels: int = 3

    def find(self, index: tf.Tensor) -> tf.Tensor:
        """The number itself: int64 []."""
        return index

    def cut(self, found: tf.Tensor, window: Window | None) -> tf.Tensor:
        """A window of the image of this number, or all of it: uint8 [h, w, C]."""
        size = tf.gather(self.sizes.tensor, found)
        of_window = tf.concat([[0, 0], size], 0)
        if window is not None:
            of_window = tf.cast(window(*tf.unstack(tf.cast(size, tf.int32))), tf.int64)
        top, left, height, width = tf.unstack(of_window)
        row = size[1] * self.channels
        begin = tf.gather(self.begins.tensor, found) + top * row
        rows = tf.reshape(self.values.tensor[begin : begin + height * row], (height, size[1], self.channels))
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

    def held(self, indices: np.ndarray, most_bytes: int) -> Originals | None:
        """As of any originals: each image is decoded once."""
        values, end = aligned([most_bytes]), 0
        begins, sizes = np.zeros(len(self.labels), np.int64), np.zeros((len(self.labels), 2), np.int64)
        good = []
        with progress("reading images", len(indices)) as bar:
            for index, image in self._each_seen(indices, lambda found: self.cut(found, None)):
                pixels = image.numpy().ravel()
                begin, end = end, end + pixels.size
                if end > most_bytes:
                    return None
                values[begin:end] = pixels
                begins[index], sizes[index] = begin, image.shape[:2]
                good.append(int(index))
                bar.update()
        self._refuse(np.setdiff1d(indices, good))
        return DecodedImagesOfAnySize(
            self.labels, self.classes, Held(values[:end]), Held(begins), Held(sizes), self.channels
        )

    def check(self, indices: np.ndarray, cause: Exception | None = None) -> None:
        """As of any originals: each image is decoded once."""
        good = []
        with progress("checking images", len(indices)) as bar:
            # What is not asked for would not be computed.
            looked_at = self._each_seen(indices, lambda found: tf.reduce_max(self.cut(found, None)))
            for batch, _ in looked_at.batch(_CHECK_BATCH):
                good += batch.numpy().tolist()
                bar.update(len(batch))
        self._refuse(np.setdiff1d(indices, good), cause)

    def _each_seen(self, indices: np.ndarray, look: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
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
