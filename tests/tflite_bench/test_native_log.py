import subprocess
import sys

CATCHES_TWICE = """
import os
from tflite_bench.native_log import NativeLog
log = NativeLog()
os.write(2, b"first\\n")
first = log.taken()
os.write(2, b"second\\n")
print([first, log.taken(), log.taken()])
"""


def test_what_native_code_writes_is_caught_once_and_passed_on():
    result = subprocess.run([sys.executable, "-c", CATCHES_TWICE], capture_output=True, text=True, check=True)
    assert result.stdout == "['first\\n', 'second\\n', '']\n"
    assert result.stderr == "first\nsecond\n"
