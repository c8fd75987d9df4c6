r"""Whether a search keeps what it has finished with: its resident memory, iteration by iteration.

Example, which docs/performance.md tells of, in about ten minutes:

  python -m benchmarks.search_memory

MobileNetV1 0.25 at 64 px is adapted to a part of its multiply-accumulates, which needs no measuring, and watched from
outside. TensorFlow keeps graphs alive if one lets it: every iteration builds a narrower network and traces it.
"""

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.resident import growth, resident_mib
from tflite_bench.binary import run
from tflite_bench.errors import UserError

_ITERATIONS = flags.DEFINE_integer("iterations", 20, "How many are watched.", lower_bound=2)
_FIRST = flags.DEFINE_integer("first", 3, "The iteration that growth is counted from.", lower_bound=1)
_FLAGS = flags.DEFINE_string(
    "flags",
    "--network=mobilenet_v1 --alpha=0.25 --resolution=64 --dataset=fashion_mnist_12k --pretrain_epochs=0 "
    "--short_term_steps=2 --holdout_images=200 --initial_reduction=0.025 --budget=macs=40%",
    "What is adapted; see netadapt_tf.adapt.",
)


def main(_: Sequence[str]) -> None:
    """Reads the flags, watches, prints."""
    if _FIRST.value >= _ITERATIONS.value:
        raise UserError(f"--first should be less than --iterations, {_ITERATIONS.value}")
    with tempfile.TemporaryDirectory() as folder:
        by_iteration = resident_mib(shlex.split(_FLAGS.value), Path(folder) / "run", _ITERATIONS.value)
    for iteration, mib in by_iteration.items():
        print(f"iteration {iteration:3d}: {mib:7.0f} MiB")
    first, last = _FIRST.value, _ITERATIONS.value
    print(f"from iteration {first} to {last}: {growth(by_iteration, first, last):+.1%}")


if __name__ == "__main__":
    run(main)
