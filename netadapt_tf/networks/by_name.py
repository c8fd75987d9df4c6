"""The networks that can be built by name, and all that differs between them.

TensorFlow, which takes seconds to start, is loaded when a network is first asked for something.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tf_keras


@dataclass(frozen=True)
class NamedNetwork:
    """A network that can be built by name.

    Attributes:
        name: as flags have it; that of its module, and of the functions in it.
        title: as prose has it.
        application: its name in `tf_keras.applications`.
        classifier: the layer whose weights belong to the classes.
        imagenet_alphas: width multipliers that `tf_keras.applications` has ImageNet weights for.
        imagenet_resolutions: inputs that it has them for, in pixels.
    """

    name: str
    title: str
    application: str
    classifier: str
    imagenet_alphas: tuple[float, ...]
    imagenet_resolutions: tuple[int, ...]

    def widths(self, alpha: float) -> dict[str, int]:
        """Filters by channel group at a width multiplier."""
        return self._own(f"{self.name}_widths")(alpha)

    def build(self, widths: Mapping[str, int], resolution: int, classes: int, dropout: float = 0.0) -> "tf_keras.Model":
        """The network at these widths, with fresh weights.

        Args:
            widths: filters of the groups that `widths` names.
            resolution: height and width of the input, in pixels.
            classes: number of classes.
            dropout: share of the features dropped in training, before the classifier.

        Returns:
            A functional model, float32 [N, resolution, resolution, 3] -> probabilities [N, classes].
        """
        return self._own(self.name)(widths, resolution, classes, dropout)

    def with_imagenet_weights(self, alpha: float, resolution: int) -> "tf_keras.Model":
        """The network of `tf_keras.applications` with weights that it downloads, or has in its cache folder.

        Args:
            alpha: one of `imagenet_alphas`.
            resolution: one of `imagenet_resolutions`.

        Raises:
            Exception: as Keras raises it, where there is no network, or the file is damaged.
        """
        applications = importlib.import_module("tf_keras.applications")
        build = getattr(applications, self.application)
        return build((resolution, resolution, 3), alpha, weights="imagenet")

    def _own(self, name: str) -> Any:
        return getattr(importlib.import_module(f"netadapt_tf.networks.{self.name}"), name)


NETWORKS: Mapping[str, NamedNetwork] = {
    network.name: network
    for network in (
        NamedNetwork(
            name="mobilenet_v1",
            title="MobileNetV1",
            application="MobileNet",
            classifier="conv_preds",
            imagenet_alphas=(0.25, 0.5, 0.75, 1.0),
            imagenet_resolutions=(128, 160, 192, 224),
        ),
        NamedNetwork(
            name="mobilenet_v2",
            title="MobileNetV2",
            application="MobileNetV2",
            classifier="predictions",
            imagenet_alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
            imagenet_resolutions=(96, 128, 160, 192, 224),
        ),
    )
}
NAMES = " or ".join(NETWORKS)
