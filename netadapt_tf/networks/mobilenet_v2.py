"""MobileNetV2 (Sandler et al., 2018), built from widths."""

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from tf_keras import layers

_FIRST_FILTERS = 32
_LAST_FILTERS = 1280
_EXPANSION = 6
_STAGES = (  # bottleneck filters at alpha 1.0, blocks, stride of the first block
    (16, 1, 1),
    (24, 2, 2),
    (32, 3, 2),
    (64, 4, 2),
    (96, 3, 1),
    (160, 3, 2),
    (320, 1, 1),
)
_DIVISOR = 8


def mobilenet_v2_widths(alpha: float) -> dict[str, int]:
    """Filters by channel group at a width multiplier, as `tf_keras.applications.MobileNetV2` has them.

    The blocks of a stage are joined by residual adds and share one bottleneck width, named after the first layer that
    writes it; each expansion is a group of its own. Groups come in the order in which the network writes them.
    """
    bottleneck = _rounded(_FIRST_FILTERS * alpha)
    widths = {"Conv1": bottleneck}
    block = 0
    for filters, blocks, _ in _STAGES:
        stage = _project(block)
        for number in range(blocks):
            if block:
                widths[f"block_{block}_expand"] = _EXPANSION * bottleneck
            if number == 0:
                bottleneck = widths[stage] = _rounded(int(filters * alpha))
            block += 1
    widths["Conv_1"] = _rounded(_LAST_FILTERS * max(alpha, 1.0))
    return widths


def mobilenet_v2(widths: Mapping[str, int], resolution: int, classes: int, dropout: float = 0.0) -> tf_keras.Model:
    """Builds the network; names and weights are interchangeable with `tf_keras.applications.MobileNetV2`.

    A block has a residual add where it repeats its stage's width and not where two numbers happen to be equal: below
    alpha 0.278 `tf_keras.applications` adds within the first block, too, and is another network.

    Args:
        widths: filters of the groups that `mobilenet_v2_widths` names.
        resolution: height and width of the input, in pixels.
        classes: number of classes.
        dropout: share of the features dropped in training, before the classifier; with 0 there is no such layer.

    Returns:
        A functional model, float32 [N, resolution, resolution, 3] -> probabilities [N, classes].
    """
    images = layers.Input((resolution, resolution, 3), name="input_1")
    x = layers.Conv2D(widths["Conv1"], 3, strides=2, padding="same", use_bias=False, name="Conv1")(images)
    x = layers.ReLU(6.0, name="Conv1_relu")(_normalised(x, "bn_Conv1"))  # [N, R/2, R/2, Conv1]
    block = 0
    for _, blocks, first_stride in _STAGES:
        bottleneck = widths[_project(block)]
        for number in range(blocks):
            expanded = widths[f"block_{block}_expand"] if block else None
            stage_input, x = x, _block(x, block, expanded, bottleneck, 1 if number else first_stride)
            if number:
                x = layers.Add(name=f"block_{block}_add")([stage_input, x])
            block += 1
    x = layers.Conv2D(widths["Conv_1"], 1, use_bias=False, name="Conv_1")(x)
    x = layers.ReLU(6.0, name="out_relu")(_normalised(x, "Conv_1_bn"))
    x = layers.GlobalAveragePooling2D(name="global_average_pooling2d")(x)  # [N, Conv_1]
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    probabilities = layers.Dense(classes, activation="softmax", name="predictions")(x)
    return tf_keras.Model(images, probabilities, name="mobilenet_v2")


def _block(x: tf.Tensor, block: int, expanded: int | None, bottleneck: int, stride: int) -> tf.Tensor:
    """Expansion (None: there is none), depthwise convolution, projection: [N, H, W, C] -> [N, H/s, W/s, bottleneck]."""
    prefix = _prefix(block)
    if expanded is not None:
        x = layers.Conv2D(expanded, 1, padding="same", use_bias=False, name=f"{prefix}_expand")(x)
        x = layers.ReLU(6.0, name=f"{prefix}_expand_relu")(_normalised(x, f"{prefix}_expand_BN"))
    if stride == 2:
        before = x.shape[1] % 2  # an odd size is padded on both sides, an even one behind
        x = layers.ZeroPadding2D(((before, 1), (before, 1)), name=f"{prefix}_pad")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        name=f"{prefix}_depthwise",
    )(x)
    x = layers.ReLU(6.0, name=f"{prefix}_depthwise_relu")(_normalised(x, f"{prefix}_depthwise_BN"))
    x = layers.Conv2D(bottleneck, 1, padding="same", use_bias=False, name=_project(block))(x)
    return _normalised(x, f"{prefix}_project_BN")


def _prefix(block: int) -> str:
    return f"block_{block}" if block else "expanded_conv"


def _project(block: int) -> str:
    return f"{_prefix(block)}_project"


def _normalised(x: tf.Tensor, name: str) -> tf.Tensor:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def _rounded(filters: float) -> int:
    """The nearest multiple of 8, at least 8, the next one where that loses more than a tenth."""
    nearest = max(_DIVISOR, int(filters + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return nearest if nearest >= 0.9 * filters else nearest + _DIVISOR
