"""A stage of training that goes on from its last finished epoch ends as one that was never interrupted."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from netadapt_tf.training.checkpoint import Checkpoint, Finished, Stage
from netadapt_tf.training.images import image_set, shuffled_batches
from netadapt_tf.training.stages import train
from netadapt_tf.training.task import classification
from netadapt_tf.training.teacher import Teacher
from netadapt_tf.training.trainer import TrainingState
from netadapt_tf.training.views import views
from tests.tiny_networks import tiny_cnn

EPOCHS = 4
WHAT = "long-term fine-tune"
STAGE: Stage = {"stage": WHAT, "seed": 3}


def shuffled(seed: int) -> tf.data.Dataset:
    generator = np.random.default_rng(0)
    images = image_set(generator.integers(0, 256, (60, 10, 10, 3), dtype=np.uint8), np.arange(60) % 4, 4)
    return shuffled_batches(images.shown(views("imagenet", 8)[0]), 16, "tf")(seed)


def as_it_is() -> tf.data.Dataset:
    generator = np.random.default_rng(1)
    images = generator.uniform(-1, 1, (48, 8, 8, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((images, np.arange(48) % 4)).shuffle(48, seed=5).batch(16)


def written(path: Path, stop_after: int = EPOCHS + 1) -> Checkpoint:
    """A checkpoint whose writer is interrupted once it has written so often."""
    left = stop_after

    def write(content: bytes) -> None:
        nonlocal left
        path.write_bytes(content)
        left -= 1
        if not left:
            raise KeyboardInterrupt

    return Checkpoint(path, write)


def trained(dataset, checkpoint: Checkpoint | None, seed: int = 3, teacher: Teacher | None = None) -> list[np.ndarray]:
    tf_keras.utils.set_random_seed(0)  # as every adaptation begins
    network = tiny_cnn(dropout=0.5)
    train(network, classification(network), dataset, seed, EPOCHS, 0.05, WHAT, checkpoint, teacher=teacher)
    return network.get_weights()


@pytest.mark.parametrize(("make", "finished"), [(lambda: shuffled, 2), (lambda: shuffled, EPOCHS), (as_it_is, 2)])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, make, finished):
    path = tmp_path / "stage.npz"
    whole = trained(make(), None)
    with pytest.raises(KeyboardInterrupt):
        trained(make(), written(path, stop_after=finished))
    tiny_cnn(dropout=0.5)  # what Keras has made since does not matter
    resumed = trained(make(), written(path, stop_after=EPOCHS - finished + 1))
    for one, other in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_with_a_teacher_too_and_only_with_the_same_one(tmp_path):
    path, teacher = tmp_path / "stage.npz", Teacher(tiny_cnn(dropout=0.5), 0.5)
    whole = trained(shuffled, None, teacher=teacher)
    for other in (None, Teacher(teacher.network, 0.25), teacher):
        with pytest.raises(KeyboardInterrupt):
            trained(shuffled, written(path, stop_after=2), teacher=other)
        for one, two in zip(trained(shuffled, Checkpoint(path, path.write_bytes), teacher=teacher), whole, strict=True):
            np.testing.assert_array_equal(one, two)
        path.unlink()


def test_a_finished_epoch_is_not_trained_again(tmp_path, monkeypatch):
    path = tmp_path / "stage.npz"
    with pytest.raises(KeyboardInterrupt):
        trained(shuffled, written(path, stop_after=3))
    resumed = written(path)
    epochs, keep = [], Checkpoint.keep

    def watched(self: Checkpoint, stage: Stage, finished: Finished) -> None:
        epochs.append(finished.epochs)
        keep(self, stage, finished)

    monkeypatch.setattr(Checkpoint, "keep", watched)
    trained(shuffled, resumed)
    assert epochs == [4]


def test_a_checkpoint_of_another_stage_does_not_count(tmp_path):
    path = tmp_path / "stage.npz"
    with pytest.raises(KeyboardInterrupt):
        trained(shuffled, written(path, stop_after=2), seed=4)
    for one, other in zip(trained(shuffled, written(path)), trained(shuffled, None), strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_are_seen_in_different_orders():
    network, seeds = tiny_cnn(), set()
    images = tf.data.Dataset.from_tensor_slices((np.zeros((8, 8, 8, 3), np.float32), np.arange(8) % 4))

    def seeded(seed: int) -> tf.data.Dataset:
        seeds.add(seed)
        return images.batch(4)

    train(network, classification(network), seeded, 0, 3, 0.01, "")
    assert len(seeds - {0}) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive",
        lambda content: content[: len(content) // 2],
        lambda content: content[:400] + bytes([content[400] ^ 1]) + content[401:],
        lambda content: content[: len(content) // 4] + bytes(len(content) // 4) + content[len(content) // 2 :],
    ],
)
def test_a_damaged_checkpoint_is_named_and_set_aside(tmp_path, caplog, damage):
    path = tmp_path / "stage.npz"
    checkpoint = Checkpoint(path, lambda content: path.write_bytes(content) and None)
    finished = Finished(2, TrainingState([np.arange(100.0), np.ones((3, 4), np.float32)], [np.zeros(3)], []))
    for number in (1, 2):
        checkpoint.keep(STAGE, finished)
        again = checkpoint.finished(STAGE)
        assert again is not None
        assert again.epochs == 2
        assert [array.shape for array in again.state.weights] == [(100,), (3, 4)]
        assert [array.shape for array in again.state.momentums] == [(3,)]
        assert again.state.draws == []
        damaged = damage(path.read_bytes())
        path.write_bytes(damaged)
        assert checkpoint.finished(STAGE) is None
        assert not path.exists()
        assert (tmp_path / f"stage.npz.damaged-{number}").read_bytes() == damaged
        assert f"stage.npz.damaged-{number}" in caplog.text
