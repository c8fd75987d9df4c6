"""Random small functional graphs of all that channel groups are found in, and of what they cannot be followed into."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

from tests.tiny_networks import randomised

_SIZE = 6
_ACTIVATIONS = (None, "relu", "sigmoid", "tanh", "swish", "elu", layers.LeakyReLU, tf.nn.relu6)
_JOINS = (layers.Add, layers.Average, layers.Subtract, layers.Multiply, layers.Maximum, layers.Minimum)
_POOLS = (layers.MaxPooling2D, layers.AveragePooling2D)


def random_network(seed: int, outputs: int | None = None) -> tuple[tf_keras.Model, Counter[str]]:
    """A network of images [N, 6, 6, 3] with random weights, and how often it has which feature.

    Args:
        seed: of its layers and weights; the same gives the same network.
        outputs: how many; one to three by chance without it.
    """
    return _Draft(np.random.default_rng(seed), seed).network(outputs)


class _Draft:
    """A network while layers are added to it."""

    def __init__(self, chance: np.random.Generator, seed: int) -> None:
        self.chance = chance
        self.seed = seed
        self.features: Counter[str] = Counter()
        self.shared: list[Callable] = []
        self.images = layers.Input((_SIZE, _SIZE, 3), name="images")
        self.maps = [self.conv(self.images, int(chance.integers(2, 7)))]  # [N, H, W, C]

    def network(self, outputs: int | None) -> tf_keras.Model:
        moves = [move for name, move in sorted(vars(type(self)).items()) if name.startswith("grow_")]
        for _ in range(self.chance.integers(3, 8)):
            move = moves[self.chance.integers(len(moves))]
            grown = move(self, self.recent())
            self.features[move.__name__.removeprefix("grow_")] += 1
            self.maps.append(grown)
        if self.flip(0.2):
            self.maps.append(self.grow_unfollowed(self.recent()))
        count = int(self.chance.integers(1, 4)) if outputs is None else outputs
        self.features["several outputs"] += count > 1
        answers = [self.head(self.maps[-1 - number % len(self.maps)]) for number in range(count)]
        network = tf_keras.Model(self.images, answers if count > 1 else answers[0], name=f"random_{self.seed}")
        return tamed(randomised(network, self.seed), self.seed), self.features

    # What all moves are made of.

    def flip(self, probability: float = 0.5) -> bool:
        return bool(self.chance.random() < probability)

    def one_of(self, options: Sequence[Any]) -> Any:
        return options[int(self.chance.integers(len(options)))]

    def recent(self) -> Any:
        """A feature map, one of the last two more often than not."""
        return self.one_of(self.maps[-2:]) if self.flip(0.8) else self.one_of(self.maps)

    def filters(self) -> int:
        return int(self.chance.integers(1, 7))

    def activation(self) -> Any:
        chosen = self.one_of(_ACTIVATIONS)
        return chosen() if isinstance(chosen, type) else chosen

    def conv_layer(self, filters: int) -> layers.Layer:
        return layers.Conv2D(
            filters,
            int(self.one_of([1, 3])),
            padding="same",
            use_bias=self.flip(),
            activation=self.activation(),
            trainable=self.flip(0.8),
        )

    def conv(self, x: Any, filters: int | None = None) -> Any:
        x = self.conv_layer(filters or self.filters())(x)
        if self.flip(0.4):
            x = layers.BatchNormalization(center=self.flip(0.8), scale=self.flip(0.8))(x)
        return x

    def like(self, x: Any) -> Any:
        """Another map of the same shape."""
        return self.conv(self.resized(self.recent(), x.shape[1:3]), x.shape[-1])

    def resized(self, x: Any, size: Sequence[int]) -> Any:
        if tuple(x.shape[1:3]) == tuple(size):
            return x
        return layers.Resizing(*size)(x) if self.flip() else tf.image.resize(x, tuple(size))

    # Chains.

    def grow_conv(self, x: Any) -> Any:
        return self.conv(x)

    def grow_depthwise(self, x: Any) -> Any:
        multiplier = 2 if self.flip(0.4) else 1
        self.features["multiplier"] += multiplier > 1
        depthwise = layers.DepthwiseConv2D(3, padding="same", use_bias=self.flip(), depth_multiplier=multiplier)
        return self.conv(depthwise(x))

    def grow_separable(self, x: Any) -> Any:
        multiplier = 2 if self.flip(0.2) else 1
        return layers.SeparableConv2D(
            self.filters(), 3, padding="same", depth_multiplier=multiplier, activation=self.activation()
        )(x)

    def grow_transposed(self, x: Any) -> Any:
        return layers.Conv2DTranspose(self.filters(), 3, padding="same", use_bias=self.flip())(x)

    def grow_resampled(self, x: Any) -> Any:
        if min(x.shape[1:3]) < 2:
            return layers.UpSampling2D(2)(x)
        options = [layers.ZeroPadding2D(1), layers.Cropping2D(((1, 0), (0, 1))), self.one_of(_POOLS)(2)]
        options += [self.one_of(_POOLS)(3, strides=1, padding="same")]
        options += [layers.UpSampling2D(2)] if max(x.shape[1:3]) <= _SIZE else []
        return self.conv(self.one_of(options)(x))

    def grow_per_channel(self, x: Any) -> Any:
        kinds: list[Callable[[], layers.Layer]] = [
            lambda: layers.PReLU(shared_axes=self.one_of([None, [1, 2], [1, 2, 3], [3]])),
            lambda: layers.BatchNormalization(renorm=self.flip(0.2)),
            lambda: layers.Dropout(0.3, noise_shape=self.one_of([None, (None, 1, 1, None)])),
            lambda: layers.SpatialDropout2D(0.2),
            lambda: layers.Activation(self.one_of(["sigmoid", "hard_sigmoid", "gelu", "mish"])),
            lambda: layers.ReLU(6.0),
            lambda: layers.GaussianNoise(0.1),
            lambda: layers.Rescaling(0.5, 0.1),
            lambda: layers.Permute((2, 1, 3)),
            lambda: layers.ActivityRegularization(0.01),
        ]
        return self.one_of(kinds)()(self.one_of(kinds)()(x))

    def grow_penalised(self, x: Any) -> Any:
        """What is penalised and constrained in training, activities included."""
        on_activity = self.flip(0.6)
        self.features["penalised activity"] += on_activity
        x = layers.Dense(
            self.filters(),
            kernel_regularizer=self.one_of(["l1", "l2", "l1_l2", None, "orthogonal_regularizer"]),
            bias_regularizer=self.one_of(["l2", None]),
            kernel_constraint=self.one_of([None, "max_norm", "non_neg"]),
            activity_regularizer=tf_keras.regularizers.L2(0.1) if on_activity else None,
        )(x)
        return layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1")(x) if self.flip() else x

    def grow_dense_per_position(self, x: Any) -> Any:
        return layers.Dense(self.filters(), use_bias=self.flip(), activation=self.activation())(x)

    # Joins.

    def grow_residual(self, x: Any) -> Any:
        y = self.like(x)
        y = self.conv(y, x.shape[-1]) if self.flip() else y
        kind = self.one_of([*_JOINS, "operator", "operator"])
        if kind == "operator":
            join = [lambda: x + y, lambda: x - y, lambda: x * y, lambda: tf.maximum(x, y), lambda: y + 1.0 * x]
            return self.one_of(join)()
        branches = [x, y] if self.flip() else [y, x]
        if kind in (layers.Add, layers.Maximum) and self.flip(0.3):
            branches.append(self.one_of([x, y, self.like(x)]))
        return kind()(branches)

    def grow_onto_itself(self, x: Any) -> Any:
        return layers.Add()([x, x]) if self.flip() else x * x

    def grow_concatenation(self, x: Any) -> Any:
        y = self.conv(self.resized(self.recent(), x.shape[1:3]))
        parts = self.one_of([[x, y], [x, x], [y, x, self.resized(self.images, x.shape[1:3])]])
        if self.flip(0.3):
            return tf.concat(parts, -1)
        stacked = layers.Concatenate(axis=self.one_of([-1, 3]))(parts)
        return layers.Concatenate()([stacked, y]) if self.flip(0.3) else stacked

    def grow_spatial_concatenation(self, x: Any) -> Any:
        y = self.like(x)
        joined = tf.concat([x, y], 1) if self.flip() else layers.Concatenate(axis=self.one_of([1, 2, -2]))([x, y])
        return self.resized(joined, x.shape[1:3])

    def grow_added_concatenations(self, x: Any) -> Any:
        sizes = [self.filters(), self.filters()]
        other = sizes if self.flip() else sizes[::-1]
        one, two = ([self.conv(x, size) for size in of_one] for of_one in (sizes, other))
        self.features["unequal order"] += sizes != other
        joined = layers.Add()([layers.Concatenate()(one), layers.Concatenate()(two)])
        return layers.Add()([joined, self.conv(x, sum(sizes))]) if self.flip(0.2) else joined

    # Layers used more than once.

    def grow_shared(self, x: Any) -> Any:
        channels = x.shape[-1]
        y = self.conv(x, channels)
        y = layers.MaxPooling2D(2)(y) if self.flip(0.3) and min(x.shape[1:3]) > 1 else y
        kind = self.one_of(["conv", "dense", "norm", "depthwise", "separable", "prelu", "chain"])
        filters = channels if kind == "chain" else self.filters()
        shared = {
            "conv": self.conv_layer(filters),
            "dense": layers.Dense(filters, activation=self.activation()),
            "norm": layers.BatchNormalization(),
            "depthwise": layers.DepthwiseConv2D(3, padding="same"),
            "separable": layers.SeparableConv2D(filters, 3, padding="same"),
            "prelu": layers.PReLU(shared_axes=[1, 2]),
            "chain": self.conv_layer(filters),
        }[kind]
        if kind == "chain":
            return shared(shared(self.conv(x, channels)))
        uses = [shared(x), self.resized(shared(y), x.shape[1:3])]
        if self.flip(0.2):
            uses.append(shared(self.conv(x, channels)))
        return self.one_of([layers.Add(), layers.Concatenate()])(uses)

    def grow_shared_with_the_input(self, x: Any) -> Any:
        shared = self.one_of([self.conv_layer(3), layers.BatchNormalization(), layers.Dense(2)])
        own = self.conv(x, 3)
        return layers.Add()([shared(own), self.resized(shared(self.images), x.shape[1:3])])

    # Nested models.

    def grow_nested(self, x: Any) -> Any:
        """A model with a residual inside, which may be called twice, and may hold a model itself."""
        shape, channels = x.shape[1:], x.shape[-1]
        inside = self.residual_model(shape, "nested")
        if self.flip():
            self.features["nested in nested"] += 1
            images = layers.Input(shape)
            y = self.conv(inside(images))
            inside = tf_keras.Model(images, layers.Concatenate()([y, images]) if self.flip(0.3) else y, name="around")
        training = False if self.flip(0.3) else None
        if self.flip():
            self.features["nested twice"] += 1
            return layers.Add()([inside(x, training=training), inside(self.conv(x, channels))])
        return inside(x, training=training)

    def residual_model(self, shape: Sequence[int], name: str) -> tf_keras.Model:
        images = layers.Input(shape)
        y = self.conv(images)
        z = self.conv(self.conv(y), y.shape[-1])
        z = layers.Add()([y, z]) if self.flip() else y + z
        answers = layers.ReLU()(z) if self.flip() else self.conv(z)
        if self.flip(0.4):
            answers = tf_keras.Sequential([layers.Dense(self.filters()), layers.Dropout(0.2)], name="tail")(answers)
        return tf_keras.Model(images, answers, name=f"{name}_{len(self.maps)}")

    # Attention.

    def grow_squeeze_and_excitation(self, x: Any) -> Any:
        channels = x.shape[-1]
        if self.flip():
            s = layers.GlobalAveragePooling2D(keepdims=True)(x)
        elif self.flip():
            s = tf.reduce_mean(x, [1, 2], keepdims=True)
        else:
            s = layers.Reshape(self.one_of([(1, 1, channels), (1, 1, -1)]))(layers.GlobalMaxPooling2D()(x))
        s = layers.Conv2D(self.filters(), 1, activation="relu")(s)
        if self.flip():
            return layers.Multiply()([x, layers.Conv2D(channels, 1, activation="sigmoid")(s)])
        return x * (tf.nn.relu6(layers.Conv2D(channels, 1)(s) + 3.0) / 6.0)

    def grow_excitation_without_positions(self, x: Any) -> Any:
        s = layers.Dense(x.shape[-1], activation="sigmoid")(layers.GlobalAveragePooling2D()(x))  # [N, C]
        return layers.Multiply()([x, s])  # of ranks 4 and 2

    def grow_spatial_attention(self, x: Any) -> Any:
        attention = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
        return layers.Multiply()([x, attention]) if self.flip() else attention * x

    # Operators.

    def grow_operators(self, x: Any) -> Any:
        return self.one_of(
            [
                lambda: tf.nn.relu6(x + 3.0),
                lambda: 2.0 - x,
                lambda: tf.clip_by_value(x, -1.0, 1.5),
                lambda: tf.math.squared_difference(x, 0.5),
                lambda: tf.nn.silu(-x),
                lambda: x / 2.0 + tf.abs(x),
                lambda: tf.reduce_max(x, axis=-2, keepdims=True) + x,
                lambda: tf.reduce_mean(x, (1, 2), True) * x,
                lambda: tf.image.resize(x, (4, 4)),
            ]
        )()

    # What cannot be followed.

    def grow_unfollowed(self, x: Any) -> Any:
        channels = x.shape[-1]
        self.features["meant to be locked"] += 1
        constants = np.linspace(0.5, 1.5, channels, dtype=np.float32)
        options: list[Callable[[], Any]] = [
            lambda: layers.LayerNormalization()(x),
            lambda: layers.Softmax()(x),
            lambda: tf.nn.softmax(x),
            lambda: layers.Activation("softmax")(x),
            lambda: x * constants,
            lambda: x + constants.tolist(),
            lambda: x[..., ::-1],
            lambda: x[:, :1] + x,
            lambda: tf.reduce_mean(x, -1, keepdims=True) + x,
            lambda: tf.reverse(x, [3]),
            lambda: tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 0]]),
            lambda: layers.Dropout(0.1, noise_shape=(None, 1, 1, channels))(x),
            lambda: layers.Conv2D(4, 1, groups=2)(self.conv(x, 4)),
            lambda: layers.Permute((1, 3, 2))(x),
            lambda: layers.GlobalAveragePooling2D(keepdims=True)(layers.Permute((3, 1, 2))(x)),
            lambda: layers.Reshape((x.shape[1], x.shape[2] * channels, 1))(x),
            lambda: layers.UnitNormalization()(x),
            lambda: tf.split(self.conv(x, 4), 2, -1)[1],
            lambda: layers.Conv2D(3, 1, activation="softmax")(x),
            lambda: layers.TimeDistributed(layers.Dense(2))(x),
            lambda: layers.TimeDistributed(layers.Conv1D(2, 3, padding="same"))(x),
            lambda: layers.BatchNormalization(axis=1)(x),
        ]
        return self.conv(self.one_of(options)())

    # Ends.

    def head(self, x: Any) -> Any:
        kinds = ["average", "max", "flatten", "flattened stack", "map", "dot", "hidden"]
        kind = self.one_of(kinds)
        self.features[f"head: {kind}"] += 1
        x = self.conv(x, 8) if x.shape[-1] > 8 else x
        if kind in ("flatten", "flattened stack", "hidden"):
            x = self.resized(x, (2, 2))
            x = layers.Concatenate()([x, self.conv(x, 2)]) if kind == "flattened stack" else x
            x = self.one_of([layers.Flatten(), layers.Reshape((-1,)), layers.Reshape((4 * x.shape[-1],))])(x)
            x = layers.BatchNormalization()(x) if self.flip(0.3) else x
            x = layers.Dense(5, activation="tanh")(x) if kind == "hidden" else x
        elif kind == "map":
            return layers.Conv2D(2, 1)(x) if self.flip(0.7) else x
        elif kind == "dot":
            x = layers.GlobalAveragePooling2D()(x)
            x = layers.Concatenate()([x, layers.Dot(1)([x, layers.Dense(x.shape[-1])(x)])])
        else:
            x = (layers.GlobalAveragePooling2D() if kind == "average" else layers.GlobalMaxPooling2D())(x)
        return layers.Dense(3, activation=self.one_of([None, "tanh"]))(x)


def tamed(network: tf_keras.Model, seed: int) -> tf_keras.Model:
    """Scales the weights down where the outputs would explode, so that rounding errors are small beside them."""
    images = np.random.default_rng(seed).uniform(-1, 1, (2, _SIZE, _SIZE, 3)).astype(np.float32)
    for _ in range(8):
        answers = tf.nest.flatten(network(images))
        if max(float(np.abs(answer).max()) for answer in answers) < 100:
            break
        network.set_weights([0.7 * weights for weights in network.get_weights()])
    return network
