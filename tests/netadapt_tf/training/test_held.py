import pickle

import numpy as np
import pytest

from netadapt_tf.training.held import Held, aligned


@pytest.mark.parametrize(("shape", "dtype"), [((3, 5, 5, 1), np.uint8), ((7,), np.int64), ((4, 2), np.int64)])
def test_the_tensor_is_the_array_itself(shape, dtype):
    values = aligned(shape, dtype)
    values[...] = np.arange(values.size).reshape(shape)
    tensor = Held(values).tensor
    values += 1
    assert tensor.device.endswith("CPU:0")
    assert tensor.dtype.as_numpy_dtype == dtype
    np.testing.assert_array_equal(tensor, np.arange(1, values.size + 1).reshape(shape))


def test_the_array_lives_as_long_as_the_tensor():
    def tensor():
        values = aligned((1 << 20,))
        values[...] = 7
        return Held(values).tensor

    kept = tensor()
    others = [np.full(1 << 20, 1, np.uint8) for _ in range(4)]
    assert kept.numpy().min() == kept.numpy().max() == 7 * others[0][0]


@pytest.mark.parametrize("is_read_only", [False, True])
@pytest.mark.parametrize("memory", [aligned((65,))[1:], aligned((64, 2))[:, 0]], ids=["unaligned", "with gaps"])
def test_what_cannot_be_shared_is_copied(memory, is_read_only):
    memory[...] = 3
    values = memory[:]
    values.flags.writeable = not is_read_only
    held = Held(values)
    assert held.shape == (64,)
    np.testing.assert_array_equal(held.tensor, np.full(64, 3))
    memory[...] = 4
    np.testing.assert_array_equal(held.tensor, np.full(64, 3))


def test_only_the_array_is_sent():
    held = Held(np.arange(1000))
    before = len(pickle.dumps(held))
    np.testing.assert_array_equal(held.tensor, np.arange(1000))
    sent = pickle.dumps(held)
    assert len(sent) == before < 9000
    np.testing.assert_array_equal(pickle.loads(sent).tensor, np.arange(1000))


def test_nothing_may_be_held():
    assert Held(aligned((0, 2))).tensor.shape == (0, 2)


def test_what_may_not_be_written_is_copied():
    values = aligned((64,))
    values[...] = 3
    values.flags.writeable = False
    np.testing.assert_array_equal(Held(values).tensor, np.full(64, 3))
