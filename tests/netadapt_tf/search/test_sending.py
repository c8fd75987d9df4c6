"""That what cannot be sent to workers is named, and in words that say what to do."""

import pickle
import re
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
import tf_keras

from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.search.executors import serving
from netadapt_tf.search.executors.executor import Bench
from netadapt_tf.search.executors.opening import check_sendable
from netadapt_tf.search.executors.place import Place
from netadapt_tf.search.executors.processes import Processes
from netadapt_tf.search.executors.sending import pickled_for_processes
from netadapt_tf.search.short_term import Stage
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.task import Loss, Task, classification
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import SETTINGS, corner_datasets
from tflite_bench.errors import UserError

ADVICE = "; give functions and classes that a module defines by name, or take the executor serial"


class Told(tf_keras.layers.Layer):
    """Has whatever it is told in its configuration."""

    def __init__(self, words: Any = (), **more: Any) -> None:
        super().__init__(**more)
        self._words = words

    def call(self, x):
        return 1.0 * x

    def get_config(self):
        return {**super().get_config(), "words": self._words}


def with_layer(layer: tf_keras.layers.Layer) -> tf_keras.Model:
    images = tf_keras.layers.Input((8, 8, 3))
    return tf_keras.Model(images, tiny_cnn()(layer(images)))


def local_layer() -> tf_keras.layers.Layer:
    class Local(Told):
        pass

    return Local()


def locked_loss() -> Loss:
    lock, loss = threading.Lock(), tf_keras.losses.SparseCategoricalCrossentropy()

    def locked(targets, outputs):
        with lock:
            return loss(targets, outputs)

    return locked


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (local_layer, r"class local_layer\.<locals>\.Local of the network"),
        (lambda: Told(words=threading.Lock(), name="told"), "configuration of the layer told"),
    ],
)
def test_processes_name_what_of_a_network_cannot_be_sent(layer, said):
    network = with_layer(layer())
    bench = Bench(corner_datasets, classification(tiny_cnn()), SETTINGS)
    stage = Stage(1, network, find_channels(tiny_cnn()), {})
    # begun with the network as its caller has it: copying is not the point
    with Processes(bench, workers=1) as executor, pytest.raises(UserError, match=f"the {said} cannot be sent to other"):
        executor.begin(stage, Stopwatch())


def test_ray_takes_local_classes_and_names_what_it_does_not_take():
    place, task, network = Place("ray"), classification(tiny_cnn()), with_layer(local_layer())
    check_sendable(place, network, lambda: corner_datasets(), task)
    with pytest.raises(UserError, match=rf"the loss cannot be sent to Ray's workers \(TypeError: .*lock.*\){ADVICE}"):
        check_sendable(place, network, corner_datasets, Task(locked_loss(), task.metric))


def test_what_stands_in_a_notebook_is_not_sent_to_processes(monkeypatch):
    def loss(targets, outputs):
        return 0.0

    main = ModuleType("__main__")
    main.loss = loss  # type: ignore[attr-defined]
    loss.__module__, loss.__qualname__ = "__main__", "loss"
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(UserError, match=rf"the loss cannot be sent .*: loss stands in no file.*{ADVICE}"):
        check_sendable(Place("processes"), tiny_cnn(), corner_datasets, Task(loss, classification(tiny_cnn()).metric))
    main.__file__ = __file__
    pickled_for_processes(loss)


@pytest.mark.parametrize(
    "missing", [b"cnetadapt_tf.no_such_module\nloss\n.", b"cnetadapt_tf.settings\nno_such_loss\n."]
)
def test_a_worker_that_lacks_a_module_says_so(missing):
    with pytest.raises(UserError, match=r"a worker cannot read what it was sent \(.*no_such_.*\); functions and"):
        serving._read(missing)


def test_a_worker_of_ray_that_lacks_a_module_says_so(monkeypatch):
    from netadapt_tf.search.executors import ray_cluster

    def get(stored: bytes) -> object:
        try:
            return pickle.loads(stored)
        except ImportError as error:
            raise ray_cluster.RaySystemError(str(error)) from error

    monkeypatch.setattr(ray_cluster.ray, "get", get)
    with pytest.raises(UserError, match=re.escape("a worker cannot read what it was sent (RaySystemError: ")):
        ray_cluster._fetched(b"cnetadapt_tf.no_such_module\nloss\n.")
    assert ray_cluster._fetched(pickle.dumps(1)) == 1
