import numpy as np
import pytest
import tensorflow as tf

from benchmarks.distilling import TEACHERS_SHARE, TEMPERATURE, distillation, taught
from netadapt_tf.training.stages import train
from tests.tiny_networks import tiny_cnn

IMAGES = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype(np.float32)


def batches(seed: int) -> tf.data.Dataset:
    labels = np.zeros(len(IMAGES), np.int64)
    return tf.data.Dataset.from_tensor_slices((IMAGES, labels)).shuffle(32, seed).batch(8)


def test_the_loss_is_that_of_the_definition():
    logits, teachers = np.random.default_rng(1).normal(size=(2, 3, 4))

    def softmax(values: np.ndarray) -> np.ndarray:
        powers = np.exp(values)
        return powers / powers.sum(axis=-1, keepdims=True)

    labels = np.array([0, 3, 1])
    hard = -np.log(softmax(logits)[range(3), labels]).mean()
    soft = -(softmax(teachers / TEMPERATURE) * np.log(softmax(logits / TEMPERATURE))).sum(axis=-1).mean()
    wanted = (1 - TEACHERS_SHARE) * hard + TEACHERS_SHARE * TEMPERATURE**2 * soft
    targets = (tf.constant(labels), tf.constant(softmax(teachers), tf.float32))
    assert float(distillation().loss(targets, tf.constant(softmax(logits), tf.float32))) == pytest.approx(wanted, 1e-5)


def test_a_student_comes_nearer_to_its_teacher():
    teacher, student = tiny_cnn(), tiny_cnn()
    student.set_weights([weight * 0.5 for weight in student.get_weights()])
    for layer in ("classifier",):  # labels alone would draw it to class 0
        kernel, bias = teacher.get_layer(layer).get_weights()
        teacher.get_layer(layer).set_weights([kernel, bias + np.array([0, 3, 0, 0])])
    answers = teacher(IMAGES).numpy()
    before = np.abs(student(IMAGES).numpy() - answers).mean()
    train(student, distillation(), taught(batches, teacher), 0, 20, 0.05, "")
    assert np.abs(student(IMAGES).numpy() - answers).mean() < 0.7 * before
    np.testing.assert_allclose(teacher(IMAGES).numpy(), answers, err_msg="the teacher has learnt, too")
