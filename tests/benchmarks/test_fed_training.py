import itertools
import time

import numpy as np
import tensorflow as tf
import tf_keras

from benchmarks.fed_training import Fed, fed_in_turn, make_photos
from netadapt_tf.training.image_dataset import load_image_dataset
from netadapt_tf.training.task import classification
from netadapt_tf.training.trainer import Trainer
from tests.tiny_networks import randomised


def batches(seed: int, delay_s: float = 0.0) -> tf.data.Dataset:
    images = np.random.default_rng(seed).normal(size=(64, 8, 8, 3)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(64) % 2)).batch(16)

    def late(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        tf.py_function(lambda: time.sleep(delay_s), [], [])
        return images, labels

    return dataset.map(late)


def trainer() -> Trainer:
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    network = tf_keras.Model(images, layers.Dense(2, activation="softmax")(layers.Flatten()(images)))
    return Trainer(randomised(network), classification(network), batches(0).element_spec)


def test_what_a_slow_data_set_costs_is_seen():
    delay_ms = 200.0
    fed = fed_in_turn(trainer(), lambda seed: batches(seed, delay_ms / 1e3), steps=4, rounds=2)
    assert len(fed.fed_ms) == len(fed.at_hand_ms) == 2
    assert min(fed.fed_ms) > delay_ms
    assert min(np.divide(fed.fed_ms, fed.at_hand_ms)) > 2, "a batch at hand waits for nobody"


def test_the_kind_that_begins_takes_turns():
    at_hand: list[bool] = []

    class Recorder:
        def fit(self, batches, steps, learning_rates):
            at_hand.append(isinstance(batches, itertools.repeat))

    fed_in_turn(Recorder(), batches, steps=4, rounds=2)  # type: ignore[arg-type]
    assert at_hand == [True, True, False, False, True]


def test_the_ratio_is_of_neighbours():
    printed = str(Fed((2.0, 30.0, 4.0), (1.0, 10.0, 4.0)))
    assert printed == (
        "a step fed by the data set / on a batch at hand: 2.00 (1.00 to 3.00), 4.0 and 4.0 ms, 3 rounds in turn"
    )


def test_photos_are_a_data_set(tmp_path):
    make_photos(tmp_path, 60, seed=0)
    images = load_image_dataset(f"folder:{tmp_path}", 32, 5, None, 0, "imagenet")
    assert len(images.full_train) + len(images.test) == 60
    assert images.classes == 10
    content = next(tmp_path.glob("*/0.jpg")).read_bytes()
    assert tf.image.decode_jpeg(content).shape == (375, 500, 3)
