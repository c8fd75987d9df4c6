import numpy as np
import pytest

from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from tests.tiny_networks import tiny_cnn


@pytest.fixture(scope="module")
def deployed(mobilenet, mobilenet_tflite):
    return DeployedNetwork(mobilenet_tflite, find_channels(mobilenet).groups)


def macs_by_hand(widths: dict[str, int]) -> int:
    sizes = [32, 16, 16, 8, 8, 4, 4, 4, 4, 4, 4, 2, 2]
    channels = [widths["conv1"], *(widths[f"conv_pw_{block}"] for block in range(1, 14))]
    total = 32 * 32 * channels[0] * 27 + channels[-1] * 10
    for size, before, after in zip(sizes, channels, channels[1:], strict=False):
        total += size * size * before * (9 + after)
    return total


def test_macs_follow_the_widths(deployed, mobilenet):
    generator = np.random.default_rng(0)
    for _ in range(5):
        widths = {name: int(generator.integers(1, f + 1)) for name, f in find_channels(mobilenet).widths.items()}
        assert deployed.macs(widths) == macs_by_hand(widths)


def test_a_signature_for_every_layer(deployed, mobilenet):
    widths = find_channels(mobilenet).widths | {"conv_pw_5": 24}
    assert len(deployed.signatures(widths)) == len(deployed.layers(widths)) == 31
    assert sum("[24,1,1,64]" in signature for signature in deployed.signatures(widths)) == 1


def test_resized_files_shrink(deployed, mobilenet):
    widths = find_channels(mobilenet).widths
    assert len(deployed.resized(widths | {"conv_pw_13": 8})) < len(deployed.resized(widths))


def test_whatever_is_measured_in_one_the_resized_file_is_the_same(cnn_tflite):
    plain = DeployedNetwork(cnn_tflite, find_channels(tiny_cnn()).groups)
    delegated = plain.as_delegated()
    assert len(delegated.layers({})) < len(plain.layers({}))
    assert delegated.resized({"first": 4}) == plain.resized({"first": 4})


def test_groups_that_cannot_shrink_in_the_file_are_locked(cnn_tflite):
    other = mobilenet_v1({"conv1": 8, **{f"conv_pw_{block}": 8 for block in range(1, 14)}}, 32, 10)
    locks = DeployedNetwork(cnn_tflite, find_channels(other).groups).locks
    assert len(locks) == 14
    assert locks["conv1"] == "the .tflite has no layer named conv1"
