r"""Measures a .tflite where it is to run: whole, and layer by layer.

On the GPU of the phone that is connected, with a binary of TensorFlow Lite's or LiteRT's benchmark_model:

  python -m tflite_bench.profile_model --model=net.tflite \
      --target=android/gpu --benchmark_model=./benchmark_model

On two cores of this machine, which needs no such binary:

  python -m tflite_bench.profile_model --model=net.tflite --target=host/cpu:2

"alone" is the layer as a one-layer model; "inside" is its share of the operator profile of the whole model, which there
is on CPUs with TensorFlow Lite's tool.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tflite_bench.binary import run
from tflite_bench.errors import UserError
from tflite_bench.latency_table import DEFAULT_TABLE, default_table
from tflite_bench.meters import Meters
from tflite_bench.model_profile import profile_model, profile_text
from tflite_bench.target import GRAMMAR, parse_target

_MODEL = flags.DEFINE_string("model", None, "The .tflite to be measured.", required=True)
_TARGET = flags.DEFINE_string("target", "host/cpu:1", f"Where to measure: {GRAMMAR}.")
_BENCHMARK_MODEL = flags.DEFINE_multi_string(
    "benchmark_model",
    [],
    "[ABI:]PATH. Binary of TensorFlow Lite's or LiteRT's benchmark_model, for targets android and benchmark_model; "
    "repeatable, one for each ABI.",
)
_TABLE = flags.DEFINE_string("table", None, f"File of the latency table; by default {DEFAULT_TABLE}.")

_FLAG_GROUPS = {"What is asked": (_MODEL, _TARGET), "Measuring": (_TABLE, _BENCHMARK_MODEL)}


def main(_: Sequence[str]) -> None:
    """Measures, and prints a line for each layer."""
    target = parse_target(_TARGET.value)
    try:
        tflite = Path(_MODEL.value).read_bytes()
    except OSError as error:
        raise UserError(f"--model={_MODEL.value} cannot be read: {error.strerror}") from error
    with Meters(_BENCHMARK_MODEL.value) as meters:
        table = Path(_TABLE.value) if _TABLE.value else default_table()
        print(profile_text(profile_model(tflite, target, meters.of(target), table)))


def entry_point() -> None:
    """The binary, as it is installed."""
    run(main, "The same command goes on from what was measured.", _FLAG_GROUPS)


if __name__ == "__main__":
    entry_point()
