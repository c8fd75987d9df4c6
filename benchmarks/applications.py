"""The networks of `tf_keras.applications` that benchmarks and tests go through."""

APPLICATIONS = (
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0"),
    *("ResNet50", "DenseNet121", "Xception", "VGG16"),
)
"""By the names that they have there."""
