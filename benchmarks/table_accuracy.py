r"""How true the latency table is: the sum over layers against the whole network.

Example, the one that docs/latency_tables.md tells of, in about half an hour:

  python -m benchmarks.table_accuracy --output=benchmarks/results

A quick look at one network, in about a minute:

  python -m benchmarks.table_accuracy --alphas=0.25 --resolutions=64 --widths=5 --output=runs/accuracy

The same on this machine's GPU:

  python -m benchmarks.table_accuracy --target=host/gpu --alphas=0.25 --resolutions=64 --widths=5 --output=runs/accuracy

For every width multiplier and resolution, the network at random weights is converted once. Widths are drawn at
random, from the numbers of filters that a search may choose. The network of these widths, made by editing the
flatbuffer, is measured whole, in turn with the starting network, and compared with the table's sum. Then one channel
group, drawn at random, is cut further, and the network is measured again: one step of a search.

Three signed errors are printed for each: of the sum as it stands (raw); of the sum corrected by what the starting
network's sum is off (corrected, start); and of the cut network's sum corrected by what the sum of the network
before the cut is off (corrected, step), which is how a search corrects.

Finished rows are kept in table_accuracy.csv in the output folder; the same command does the rest. One file may hold
the rows of several networks and precisions; only those of --network and --precision are printed, and drawn
(table_accuracy.png for mobilenet_v1 in float32 on host/cpu:1, table_accuracy_NETWORK_PRECISION_TARGET.png for others).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.configuration import PLAIN, UNNAMED, Configuration
from netadapt_tf.networks.by_name import NETWORKS
from tflite_bench.binary import quiet_native_code, run
from tflite_bench.errors import UserError
from tflite_bench.precision import PRECISIONS

_USUAL_TARGET = "host/cpu:1"

_NETWORK = flags.DEFINE_enum("network", UNNAMED, list(NETWORKS), "Which network.")
_ALPHAS = flags.DEFINE_list("alphas", ["0.25", "0.5", "1.0"], "Its width multipliers.")
_RESOLUTIONS = flags.DEFINE_list("resolutions", ["64", "128", "224"], "Heights and widths of the input, in pixels.")
_PRECISION = flags.DEFINE_enum("precision", PLAIN, PRECISIONS, "Of the numbers that it is converted to.")
_WIDTHS = flags.DEFINE_integer("widths", 20, "How many random widths of each network.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the random widths.", lower_bound=0)
_TARGET = flags.DEFINE_string("target", _USUAL_TARGET, "Where to measure.")
_BENCHMARK_MODEL = flags.DEFINE_multi_string(
    "benchmark_model", [], "[ABI:]PATH of the tool, for targets android and benchmark_model; repeatable."
)
_TABLE = flags.DEFINE_string(
    "table", None, "File of the latency table, filled on demand; by default one in the user's cache folder."
)
_SECONDS = flags.DEFINE_float("seconds", 4.0, "How long each network is measured whole.", lower_bound=0.01)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of table_accuracy.csv and of the picture.", required=True)


def main(_: Sequence[str]) -> None:
    """Reads the flags, measures what is missing, prints the errors and draws them."""
    network = _NETWORK.value
    configurations = [
        Configuration(network, alpha, size, _PRECISION.value)
        for alpha in _numbers(_ALPHAS, float)
        for size in _numbers(_RESOLUTIONS, int)
    ]
    with quiet_native_code():
        from benchmarks.accuracy import errors_table
        from benchmarks.drawing import draw_accuracy
        from benchmarks.trials import TrialFile, measure_trials
        from tflite_bench.adapter import remarks
        from tflite_bench.latency_table import default_table
        from tflite_bench.meters import Meters
        from tflite_bench.target import parse_target

    folder = Path(_OUTPUT.value)
    target = parse_target(_TARGET.value)
    trials = TrialFile(folder / "table_accuracy.csv", str(target), _SEED.value, network, _PRECISION.value)
    table = Path(_TABLE.value) if _TABLE.value else default_table()
    with Meters(_BENCHMARK_MODEL.value) as meters:
        meter = meters.of(target)
        measure_trials(trials, configurations, _WIDTHS.value, _SECONDS.value, meter, target, table)
        said = remarks(target, meter.fingerprint())
    print("\n".join([errors_table(trials.trials), *said]))
    parts = (network, UNNAMED), (_PRECISION.value, PLAIN), (_TARGET.value, _USUAL_TARGET)
    suffix = "".join(f"_{re.sub('[^a-z0-9]+', '_', part)}" for part, usual in parts if part != usual)
    draw_accuracy(trials.trials, folder / f"table_accuracy{suffix}.png")


def _numbers(flag: flags.FlagHolder, kind: type) -> list:
    try:
        return [kind(text) for text in flag.value]
    except ValueError as error:
        raise UserError(f"--{flag.name} should list numbers, not {','.join(flag.value)}") from error


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from what was finished.")
