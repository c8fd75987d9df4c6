"""What a network is shown of an image: a window of the original, resized, and perhaps mirrored.

Whatever is random follows from the *draw* of an example, a number that comes with it: the same draw shows the same,
on any number of threads.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

Window = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Height and width of an image (int32 []) -> top, left, height and width of a window in it (int32 [4])."""

_CENTRE_SHARE = 0.875
_AREA = (0.08, 1.0)
_ASPECT_RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class View:
    """What is shown of an image.

    Attributes:
        resolution: height and width in pixels of what is shown.
        window: (height, width, draw) -> the window, as of a `Window`; None for the whole image.
        mirrors: whether every second image, by its draw, is mirrored left to right.
        cuts_at_random: whether the window depends on the draw.
    """

    resolution: int
    window: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    mirrors: bool = False
    cuts_at_random: bool = False

    def upright(self, cut: Callable[[Window | None], tf.Tensor], draw: tf.Tensor) -> tf.Tensor:
        """One image as it is shown, before it may be mirrored.

        Args:
            cut: window (None: the whole image) -> uint8 [h, w, C].
            draw: int64 [].

        Returns:
            uint8 [R, R, C].
        """
        window = self.window
        image = cut(None if window is None else lambda height, width: window(height, width, draw))  # [h, w, C]
        return resized(image, self.resolution)  # [R, R, C]

    def mirrored(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """Images [B, R, R, C], where the view mirrors those of odd draws (int64 [B]) left to right."""
        if not self.mirrors:
            return images
        return tf.where(draws[:, None, None, None] % 2 == 1, tf.reverse(images, [2]), images)


def views(augmentation: str, resolution: int) -> tuple[View, View]:
    """What is shown in training, and what in ranking and testing.

    Args:
        augmentation: `none`: whole images. `flip`: training images mirrored at random. `imagenet`: training images cut
            at random and mirrored at random; the others' centre (Szegedy et al., 2015; Howard et al., 2017).
        resolution: height and width in pixels.
    """
    whole = View(resolution)
    return {
        "none": (whole, whole),
        "flip": (View(resolution, mirrors=True), whole),
        "imagenet": (
            View(resolution, random_window, mirrors=True, cuts_at_random=True),
            View(resolution, central_window),
        ),
    }[augmentation]


def random_window(height: tf.Tensor, width: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """A window of 8 to 100 % of the area, 3:4 to 4:3, int32 [4]; all of an image that has no such window."""
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.stack([height, width, 1]),
        tf.zeros([1, 0, 4]),
        tf.stack([draw, 0]),  # a seed is two numbers
        min_object_covered=0.0,
        aspect_ratio_range=_ASPECT_RATIO,
        area_range=_AREA,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def central_window(height: tf.Tensor, width: tf.Tensor, _: tf.Tensor | None = None) -> tf.Tensor:
    """The central square of 0.875 of the shorter side, int32 [4].

    Resized to R it shows what the centre R x R does, once the shorter side is resized to R / 0.875.
    """
    side = tf.cast(tf.round(_CENTRE_SHARE * tf.cast(tf.minimum(height, width), tf.float32)), tf.int32)
    side = tf.maximum(side, 1)
    return tf.stack([(height - side) // 2, (width - side) // 2, side, side])


def resized(image: tf.Tensor, resolution: int) -> tf.Tensor:
    """Bilinear, uint8 [H, W, C] -> uint8 [resolution, resolution, C]."""
    image = tf.image.resize(image, (resolution, resolution), method="bilinear")
    return tf.cast(tf.round(image), tf.uint8)
