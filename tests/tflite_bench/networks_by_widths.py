"""Small networks as functions of their widths, which hold between them what functional Keras CNNs hold."""

from collections.abc import Callable, Mapping

import tensorflow as tf
import tf_keras

layers = tf_keras.layers

Widths = Mapping[str, int]
"""Number of filters by the Keras name of the layer."""


def _conv_bn_relu(x: tf.Tensor, filters: int, name: str, **options: object) -> tf.Tensor:
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name, **options)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))


def gates(w: Widths) -> tf_keras.Model:
    """Squeeze-and-excitation in three forms, spatial attention, hard-swish as operators."""
    images = layers.Input((8, 8, 3))
    x = _conv_bn_relu(images, w["first"], "first")
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(w["squeeze"], 1, activation="relu", name="squeeze")(gate)
    x = layers.Multiply()([x, layers.Conv2D(w["first"], 1, activation="hard_sigmoid", name="excite")(gate)])
    gate = layers.Dense(w["squeeze_2"], activation="swish", name="squeeze_2")(layers.GlobalAveragePooling2D()(x))
    gate = layers.Dense(w["first"], activation="sigmoid", name="excite_2")(gate)
    x = layers.Reshape((1, 1, w["first"]))(gate) * x
    x = x * layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="attention")(x)
    x = layers.Conv2D(w["second"], 1, name="second")(x)
    x = x * layers.ReLU(6.0)(x + 3.0) / 6.0
    gate = layers.GlobalMaxPooling2D()(x)[:, tf.newaxis, tf.newaxis, :]
    x = layers.Add()([x, layers.Conv2D(w["second"], 1, name="third")(gate)])
    return tf_keras.Model(images, layers.GlobalMaxPooling2D()(x))


def joined(w: Widths) -> tf_keras.Model:
    """Concatenation of channels and of rows, batch norms that cannot be folded, a residual add."""
    images = layers.Input((8, 8, 3))
    left = _conv_bn_relu(images, w["left"], "left")
    right = layers.Conv2D(w["right"], 1, name="right")(images)
    x = layers.Concatenate()([left, right, images])
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(w["after"], 3, name="after")(x)
    y = layers.BatchNormalization()(layers.ReLU()(x))
    y = layers.Activation("elu")(y)
    x = layers.Add()([x, layers.Conv2D(w["after"], 1, name="branch")(y)])
    x = layers.Concatenate(axis=1)([x, layers.MaxPooling2D(2, strides=1, padding="same")(x)])
    x = layers.BatchNormalization()(layers.ZeroPadding2D(((1, 0), (0, 2)))(x))
    return tf_keras.Model(images, layers.Dense(3, name="out")(layers.GlobalAveragePooling2D()(x)))


def upwards(w: Widths) -> tf_keras.Model:
    """Transposed convolutions, resizing, cropping; the output is as large as the input."""
    images = layers.Input((12, 12, 3))
    skip = _conv_bn_relu(images, w["skip"], "skip")
    x = _conv_bn_relu(skip, w["down"], "down", strides=2)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2DTranspose(w["up"], 3, strides=2, padding="same", use_bias=False, name="up")(x)
    x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(w["up_2"], 2, strides=2, activation="tanh", name="up_2")(x)
    x = layers.Concatenate()([layers.Cropping2D(((1, 2), (0, 1)))(x), layers.Cropping2D(((3, 0), (1, 0)))(skip)])
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.UpSampling2D(2)(x))
    x = x[:, ::3, 4:-2] + tf.slice(x, [0, 2, 1, 0], [-1, 12, 38, -1])[:, :, :38]
    return tf_keras.Model(images, layers.Conv2D(2, 1, name="out")(x))


def depthwise(w: Widths) -> tf_keras.Model:
    """Separable and depthwise convolutions, multiplied and dilated; PReLU by channel and by pixel."""
    images = layers.Input((12, 12, 3))
    x = layers.Conv2D(w["first"], 3, name="first")(images)
    x = layers.SeparableConv2D(w["sep"], 3, depth_multiplier=2, name="sep")(layers.PReLU(shared_axes=[1, 2])(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(w["separable_conv2d"], 3, padding="same", use_bias=False, name="separable_conv2d")(x)
    x = layers.PReLU()(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=3, padding="same", activation="gelu")(x)
    x = layers.Conv2D(w["dilated"], 3, dilation_rate=2, padding="same", name="dilated")(x)
    x = layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")(x)
    return tf_keras.Model(images, layers.Dense(4, name="out")(layers.GlobalAveragePooling2D()(x)))


def reshaped(w: Widths) -> tf_keras.Model:
    """Flattening, dense layers on maps and after flattening, axes of length one that come and go."""
    images = layers.Input((6, 6, 3))
    x = layers.Conv2D(w["first"], 3, strides=2, name="first")(images)
    x = layers.Dense(w["on_maps"], activation="relu", name="on_maps")(x)
    rows = layers.Reshape((4, w["on_maps"]))(x)
    rows = layers.Conv1D(w["on_maps"], 1, name="rows")(rows)
    flat = layers.Flatten()(rows)
    x = layers.Dense(w["after"], name="after")(layers.BatchNormalization()(flat))
    x = tf.expand_dims(tf.expand_dims(x, 1), 1)
    x = tf.squeeze(layers.Conv2D(w["last"], 1, activation="relu", name="last")(x), [1, 2])
    return tf_keras.Model(images, layers.Dense(3, name="out")(x))


def elementwise(w: Widths) -> tf_keras.Model:
    """Operators of one and of two operands, constants among them."""
    images = layers.Input((6, 6, 3))
    x = layers.Conv2D(w["x"], 3, name="x")(images)
    y = layers.Conv2D(w["x"], 3, name="y")(images)
    x = tf.maximum(x, 0.5) - tf.minimum(y, x)
    x = tf.math.squared_difference(tf.abs(x), tf.exp(-y))
    x = tf.sqrt(x) + tf.math.rsqrt(tf.square(y) + 1.0) + tf.math.log(x + 2.0) + tf.sin(y)
    x = layers.Average()([layers.Maximum()([x, y]), layers.Subtract()([x, y]), layers.Minimum()([x, y])])
    x = tf.pow(x, 3.0) / (tf.nn.relu(y) + 2.0)
    x = tf.where(x > y, tf.clip_by_value(x, -1.0, 1.0), tf.math.floor(y))
    pooled = tf.reduce_sum(x, [1, 2]) + tf.reduce_max(y, [1, 2])
    x = x + tf.reduce_min(y, [1], keepdims=True) * pooled[:, tf.newaxis, tf.newaxis]
    return tf_keras.Model(images, layers.Conv2D(2, 1, name="out")(x))


def called_again(w: Widths) -> tf_keras.Model:
    """Shared layers, the last of them a network's output; a nested network called twice; names that hold others."""
    images = layers.Input((8, 8, 3))
    shared = layers.Conv2D(w["conv"], 3, padding="same", name="conv")
    x = layers.Conv2D(w["conv"], 1, name="a/conv")(images)
    x = layers.ReLU()(shared(layers.ReLU()(shared(x))))
    inputs = layers.Input((8, 8, w["conv"]))
    inner = layers.ReLU()(layers.Conv2D(w["inner_conv"], 3, padding="same", name="inner_conv")(inputs))
    inner = tf_keras.Model(inputs, layers.Conv2D(w["conv"], 1, name="nested")(inner), name="nested")
    x = layers.Add()([inner(x), x])
    x = inner(layers.ReLU()(x))
    x = layers.Conv2D(w["a"], 1, name="a")(x)
    pooled = layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(
        images, [layers.Dense(5, name="five")(pooled), shared(layers.Conv2D(w["conv"], 1, name="b/conv")(x))]
    )


BY_WIDTHS: Mapping[Callable[[Widths], tf_keras.Model], tuple[Widths, Widths]] = {
    gates: (
        {"first": 12, "squeeze": 6, "excite": 12, "squeeze_2": 5, "excite_2": 12, "second": 10, "third": 10},
        {"first": 7, "squeeze": 4, "excite": 7, "squeeze_2": 2, "excite_2": 7, "second": 9, "third": 9},
    ),
    joined: ({"left": 8, "right": 5, "after": 9, "branch": 9}, {"left": 3, "right": 4, "after": 5, "branch": 5}),
    upwards: ({"skip": 6, "down": 8, "up": 10, "up_2": 5}, {"skip": 4, "down": 3, "up": 7, "up_2": 2}),
    depthwise: (
        {"first": 6, "sep": 7, "separable_conv2d": 8, "dilated": 9},
        {"first": 4, "sep": 5, "separable_conv2d": 3, "dilated": 7},
    ),
    reshaped: (
        {"first": 7, "on_maps": 6, "rows": 6, "after": 8, "last": 5},
        {"first": 4, "on_maps": 5, "rows": 5, "after": 3, "last": 2},
    ),
    elementwise: ({"x": 7, "y": 7}, {"x": 4, "y": 4}),
    called_again: (
        {"conv": 9, "a/conv": 9, "b/conv": 9, "inner_conv": 6, "nested": 9, "a": 7},
        {"conv": 5, "a/conv": 5, "b/conv": 5, "inner_conv": 4, "nested": 5, "a": 6},
    ),
}
"""Networks with widths to build them at, and narrower ones."""


def refusing() -> tf_keras.Model:
    """A writer for every reason to refuse; each is named after its own."""
    images = layers.Input((4, 4, 3))

    def writer(name: str) -> tf.Tensor:
        return layers.Conv2D(8, 1, name=name)(images)

    x = writer("matmul")
    outputs = [
        layers.Softmax(name="softmax_layer")(writer("softmax")),
        layers.Permute((3, 1, 2))(writer("transpose")),
        tf.nn.local_response_normalization(writer("local_response")),
        tf.gather(writer("gather"), [0, 2, 1], axis=-1),
        layers.Conv2D(8, 1, groups=2, name="grouped")(writer("before_groups")),
        tf.reduce_mean(writer("mean"), -1, keepdims=True) + 1.0,
        writer("sliced")[..., 2:6],
        writer("strided")[:, :, :, ::2],
        tf.slice(writer("cut"), [0, 0, 0, 1], [-1, -1, -1, 4]),
        tf.nn.space_to_depth(writer("space_to_depth"), 2),
        tf.nn.depth_to_space(writer("depth_to_space"), 2),
        tf.matmul(x, x, transpose_b=True),
        layers.Reshape((4, 4, 2, 4))(writer("split")),
        tf.pad(writer("padded"), [[0, 0], [0, 0], [0, 0], [1, 2]]),
        layers.Add()([writer("left"), writer("right")]),
        layers.Concatenate(axis=1)([writer("upper"), writer("lower")]),
        layers.Conv1D(2, 3, name="across")(
            layers.Reshape((8, 1))(layers.GlobalAveragePooling2D()(writer("as_places")))
        ),
        tf.nn.l2_normalize(writer("l2"), -1),
    ]
    return tf_keras.Model(images, outputs)
