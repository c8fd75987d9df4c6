"""Channel groups of the networks that `tf_keras.applications` builds: how many, and that narrower ones answer alike."""

import pytest
from tf_keras import applications

from benchmarks.applications import APPLICATIONS
from netadapt_tf.networks.tracing import find_channels
from tests.netadapt_tf.networks.equivalence import Equivalence, assert_alike, random_kept, saved_and_loaded
from tests.sweep import with_sweep
from tests.tiny_networks import randomised

OPTIONS = {"weights": None, "classes": 10, "classifier_activation": None}  # a softmax would hide differences
SHRINKABLE = dict(zip(APPLICATIONS, (14, 25, 27, 30, 40, 37, 120, 28, 15), strict=True))
"""How many channel groups of each can shrink."""


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
@pytest.mark.parametrize("name", with_sweep(APPLICATIONS, ("MobileNetV3Small", "EfficientNetB0", "VGG16")))
def test_applications(name, tmp_path):
    size = 71 if name == "Xception" else 32
    network = getattr(applications, name)(input_shape=(size, size, 3), **OPTIONS)
    assert_narrowed(network, SHRINKABLE[name], tmp_path)
