"""MobileNetV1 (Howard et al., 2017), built from widths."""

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from tf_keras import layers

_FIRST_FILTERS = 32
_BLOCKS = (  # filters at alpha 1.0, stride of the depthwise layer
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def mobilenet_v1_widths(alpha: float) -> dict[str, int]:
    """Filters by channel group at a width multiplier, as `tf_keras.applications.MobileNet` has them."""
    filters = [_FIRST_FILTERS, *(filters for filters, _ in _BLOCKS)]
    names = ["conv1", *(f"conv_pw_{block}" for block in range(1, len(_BLOCKS) + 1))]
    return {name: int(count * alpha) for name, count in zip(names, filters, strict=True)}


def mobilenet_v1(widths: Mapping[str, int], resolution: int, classes: int, dropout: float = 0.0) -> tf_keras.Model:
    """Builds the network; names and weights are interchangeable with `tf_keras.applications.MobileNet`.

    Args:
        widths: filters of `conv1` and `conv_pw_1` to `conv_pw_13`.
        resolution: height and width of the input, in pixels.
        classes: number of classes.
        dropout: share of the features dropped in training, before the classifier.

    Returns:
        A functional model, float32 [N, resolution, resolution, 3] -> probabilities [N, classes].
    """
    images = layers.Input((resolution, resolution, 3), name="input_1")
    x = layers.Conv2D(widths["conv1"], 3, strides=2, padding="same", use_bias=False, name="conv1")(images)
    x = _normalised(x, "conv1")  # [N, R/2, R/2, conv1]
    for block, (_, stride) in enumerate(_BLOCKS, start=1):
        if stride == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{block}")(x)
        x = layers.DepthwiseConv2D(
            3,
            strides=stride,
            padding="same" if stride == 1 else "valid",
            use_bias=False,
            name=f"conv_dw_{block}",
        )(x)
        x = _normalised(x, f"conv_dw_{block}")
        x = layers.Conv2D(widths[f"conv_pw_{block}"], 1, padding="same", use_bias=False, name=f"conv_pw_{block}")(x)
        x = _normalised(x, f"conv_pw_{block}")
    x = layers.GlobalAveragePooling2D(keepdims=True, name="global_average_pooling2d")(x)  # [N, 1, 1, conv_pw_13]
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((classes,), name="reshape_2")(x)  # [N, classes]
    probabilities = layers.Activation("softmax", name="predictions")(x)
    return tf_keras.Model(images, probabilities, name="mobilenet_v1")


def _normalised(x: tf.Tensor, name: str) -> tf.Tensor:
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)
