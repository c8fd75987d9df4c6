"""Channel groups of the networks that `tf_keras.applications` builds: how many, and that narrower ones answer alike."""

import pytest
from tf_keras import applications

from netadapt_tf.networks.tracing import find_channels
from tests.netadapt_tf.networks.equivalence import Equivalence, assert_alike, random_kept, saved_and_loaded
from tests.tiny_networks import randomised

OPTIONS = {"weights": None, "classes": 10, "classifier_activation": None}  # a softmax would hide differences


def assert_narrowed(network, shrinkable, folder):
    channels = find_channels(randomised(network))
    assert len(channels.widths) == shrinkable
    assert [group.lock for group in channels.groups if group.lock] == ["the network's output"]
    equivalence = Equivalence(network, channels)
    kept = random_kept(channels, seed=1)
    assert equivalence.matters(kept)
    narrower = equivalence.assert_narrowed(kept)
    widths = {name: len(indices) for name, indices in kept.items()}
    assert channels.parameters(widths) == narrower.count_params()
    assert_alike(equivalence.answers(saved_and_loaded(narrower, folder)), equivalence.answers(narrower))


def test_mobilenet_v2(tmp_path):
    assert_narrowed(applications.MobileNetV2((32, 32, 3), alpha=0.35, **OPTIONS), 25, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "size", "shrinkable"),
    [
        (applications.MobileNet, 32, 14),
        (applications.MobileNetV2, 32, 25),
        (applications.MobileNetV3Small, 32, 27),
        (applications.MobileNetV3Large, 32, 30),
        (applications.ResNet50, 32, 37),
        (applications.EfficientNetB0, 32, 40),
        (applications.DenseNet121, 32, 120),
        (applications.VGG16, 32, 15),
        (applications.Xception, 71, 28),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_applications(build, size, shrinkable, tmp_path):
    assert_narrowed(build(input_shape=(size, size, 3), **OPTIONS), shrinkable, tmp_path)
