r"""Whether the latency table says the same when it is filled again.

Example, called twice, with an hour of other work between:

  python -m benchmarks.table_repeatability --output=benchmarks/results

The first call fills a table (first.sqlite in the output folder) with every layer of the network at random widths, and
ends. The second fills another (second.sqlite), compares the two entry by entry, and writes table_repeatability.csv.
A call after an interruption goes on; a third only compares.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.configuration import UNNAMED, Configuration
from netadapt_tf.networks.by_name import NETWORKS
from tflite_bench.binary import quiet_native_code, run

_NETWORK = flags.DEFINE_enum("network", UNNAMED, list(NETWORKS), "Which network.")
_ALPHA = flags.DEFINE_float("alpha", 0.5, "Its width multiplier.", lower_bound=0.125)
_RESOLUTION = flags.DEFINE_integer("resolution", 128, "Height and width of the input, in pixels.", lower_bound=32)
_WIDTHS = flags.DEFINE_integer("widths", 20, "How many random widths the layers are of.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Of the random widths.", lower_bound=0)
_TARGET = flags.DEFINE_string("target", "host/cpu:1", "Where to measure.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the tables and of table_repeatability.csv.", required=True)


def main(_: Sequence[str]) -> None:
    """Fills the table whose turn it is; compares when both are full."""
    with quiet_native_code():
        from benchmarks.repeatability import compare_tables, is_full
        from benchmarks.trials import trial_network
        from netadapt_tf.resources.latency import Latency
        from tflite_bench.host import HostMeter
        from tflite_bench.target import parse_target

    target, folder = parse_target(_TARGET.value), Path(_OUTPUT.value)
    configuration = Configuration(_NETWORK.value, _ALPHA.value, _RESOLUTION.value)
    network, start, widths = trial_network(configuration, _WIDTHS.value, _SEED.value)
    with HostMeter(target) as meter:
        first = Latency(network, start, target, meter, folder / "first.sqlite")
        if not is_full(first, network, widths):
            first.prepare(widths)
            print(f"{len(first.table)} entries filled at {first.table.measured_at():%H:%M} UTC. Call again in an hour.")
            return
        second = Latency(network, start, target, meter, folder / "second.sqlite")
        second.prepare(widths)
    print(compare_tables(first.table, second.table, folder / "table_repeatability.csv"))


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from what was finished.")
