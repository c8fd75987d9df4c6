"""Networks that tests share; small, and with weights no two layers have in common."""

import numpy as np
import tf_keras

TINY_CNN_CLASSES = 4


def randomised(network: tf_keras.Model, seed: int = 0) -> tf_keras.Model:
    """Random weights for every layer, batch-norm statistics included, of a size that keeps activations alive."""
    generator = np.random.default_rng(seed)
    for layer in network.layers:
        weights = []
        for weight in layer.weights:
            fan_in = int(np.prod(weight.shape[:-1])) if len(weight.shape) > 1 else 4
            if isinstance(layer, tf_keras.layers.DepthwiseConv2D):
                fan_in = int(np.prod(weight.shape[:2]))
            values = generator.normal(scale=(2 / fan_in) ** 0.5, size=weight.shape)
            weights.append(np.abs(values) + 0.5 if "variance" in weight.name or "gamma" in weight.name else values)
        layer.set_weights(weights)
    return network


def two_convolutions(resolution: int = 32, filters: int = 64) -> tf_keras.Model:
    """Two wide convolutions and a classifier of ten classes: few layers, and work enough to see them shrink."""
    layers = tf_keras.layers
    images = layers.Input((resolution, resolution, 3))
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="first")(images)
    x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(10, activation="softmax", name="classes")(x)
    return randomised(tf_keras.Model(images, x, name="two_convolutions"))


def tiny_cnn(resolution: int = 8, dropout: float = 0.0) -> tf_keras.Model:
    """Convolution, depthwise, convolution with a bias and a sigmoid, classifier: three groups, one of them locked."""
    layers = tf_keras.layers
    images = layers.Input((resolution, resolution, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(images)
    x = layers.BatchNormalization(name="first_bn")(x)
    x = layers.ReLU(6.0, name="first_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(12, 1, activation="sigmoid", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x) if dropout else x
    x = layers.Dense(TINY_CNN_CLASSES, activation="softmax", name="classifier")(x)
    return randomised(tf_keras.Model(images, x, name="tiny_cnn"))
