"""Networks that are slow to make, made once."""

import signal

import pytest
import tf_keras

from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths
from netadapt_tf.training.repeatable import make_repeatable
from tests.tiny_networks import randomised, tiny_cnn
from tflite_bench.convert import convert


@pytest.fixture(scope="session", autouse=True)
def repeatable():
    """TensorFlow as the binaries set it up."""
    make_repeatable(2)


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Processes that tests start can be interrupted, even where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory):
    """No test, and no fixture of a module, reads or writes the user's latency table or waits for the user's lock."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture
def cnn() -> tf_keras.Model:
    return tiny_cnn()


@pytest.fixture(scope="session")
def cnn_tflite() -> bytes:
    return convert(tiny_cnn())


@pytest.fixture(scope="session")
def mobilenet() -> tf_keras.Model:
    """MobileNetV1 0.25 at 64 px, ten classes; not to be changed."""
    return randomised(mobilenet_v1(mobilenet_v1_widths(0.25), 64, 10))


@pytest.fixture(scope="session")
def mobilenet_tflite(mobilenet: tf_keras.Model) -> bytes:
    return convert(mobilenet)
