"""That TensorFlow's start says nothing to those who use the package from Python."""

import subprocess
import sys


def test_nothing_is_written_while_tensorflow_starts():
    done = subprocess.run(
        [sys.executable, "-c", "import netadapt_tf; netadapt_tf.make_repeatable(1)"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
