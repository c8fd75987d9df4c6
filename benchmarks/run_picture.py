r"""A picture of one adaptation: latency and accuracy by iteration, and which layers shrank.

make demo
python -m benchmarks.run_picture --run_dir=runs/demo --output=docs/demo.png
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tflite_bench.binary import run

_RUN_DIR = flags.DEFINE_string("run_dir", None, "A finished run directory.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The PNG.", required=True)


def main(_: Sequence[str]) -> None:
    """Reads the run directory and draws."""
    from benchmarks.drawing import draw_run
    from benchmarks.story import read_story

    draw_run(read_story(Path(_RUN_DIR.value)), Path(_OUTPUT.value))


if __name__ == "__main__":
    run(main)
