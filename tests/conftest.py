"""Networks that are slow to make, made once.

TensorFlow takes seconds to start, so only what needs it imports it.
"""

import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.software_gpu import ENVIRONMENT, require_software_gpu

if TYPE_CHECKING:
    import tf_keras


@pytest.fixture(scope="session")
def repeatable():
    """TensorFlow as the binaries set it up."""
    from netadapt_tf.training.repeatable import make_repeatable

    make_repeatable(2)


@pytest.fixture(scope="session", autouse=True)
def repeatable_where_imported(request):
    """No test file that imports TensorFlow has to ask for it."""
    if "tensorflow" in sys.modules:
        request.getfixturevalue("repeatable")


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Processes that tests start can be interrupted, even where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache_folder(tmp_path_factory):
    """No test, and no fixture of a module, reads or writes the user's latency table or waits for the user's lock.

    Workers of pytest-xdist share theirs: a layer is measured once, and never two at a time.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        yield


@pytest.fixture(scope="session")
def software_gpu() -> Iterator[None]:
    """SwiftShader is this machine's GPU."""
    require_software_gpu()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.fixture
def cnn(repeatable) -> "tf_keras.Model":
    from tests.tiny_networks import tiny_cnn

    return tiny_cnn()


@pytest.fixture(scope="session")
def cnn_tflite(repeatable) -> bytes:
    from tests.tiny_networks import tiny_cnn
    from tflite_bench.convert import convert

    return convert(tiny_cnn())


@pytest.fixture(scope="session")
def mobilenet(repeatable) -> "tf_keras.Model":
    """MobileNetV1 0.25 at 64 px, ten classes; not to be changed."""
    from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1, mobilenet_v1_widths
    from tests.tiny_networks import randomised

    return randomised(mobilenet_v1(mobilenet_v1_widths(0.25), 64, 10))


@pytest.fixture(scope="session")
def mobilenet_tflite(mobilenet: "tf_keras.Model") -> bytes:
    from tflite_bench.convert import convert

    return convert(mobilenet)
