"""What those who use the package from Python see on standard error."""

import re
import subprocess
import sys

_START = "import netadapt_tf; {call}netadapt_tf.make_repeatable(1)"
_LINES = """
import tensorflow as tf
from absl import logging
logging.info("of the caller")
tf.get_logger().info("of TensorFlow")
exec(compile('logging.info("of the package")', netadapt_tf.__file__, "exec"))
"""


def written_by(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return done.stderr


def test_nothing_is_written_while_tensorflow_starts():
    assert not written_by(_START.format(call=""))


def test_progress_is_told_once_and_others_are_not_heard():
    program = _START.format(call="netadapt_tf.log_progress(); ") + _LINES
    assert re.fullmatch(r"\d\d:\d\d:\d\d of the package\n", written_by(program))
