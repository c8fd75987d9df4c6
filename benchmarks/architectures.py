r"""What of well-known networks can shrink: the table of docs/networks.md.

  python -m benchmarks.architectures --output=benchmarks/results

Every network of tf_keras.applications in the list is built with random weights, converted once, and its layers are
measured. The table says how many channel groups can shrink, how many are locked and why, and which share of the latency
is that of layers whose shapes change with a group that can shrink.

Finished rows are kept in architectures.csv in the output folder; the same command does the rest.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.applications import APPLICATIONS
from tflite_bench.binary import quiet_native_code, run

_NETWORKS = flags.DEFINE_list("networks", list(APPLICATIONS), "Names in tf_keras.applications.")
_RESOLUTION = flags.DEFINE_integer("resolution", 128, "Height and width of the input, in pixels.", lower_bound=71)
_TARGET = flags.DEFINE_string("target", "host/cpu:1", "Where to measure.")
_TABLE = flags.DEFINE_string(
    "table", None, "File of the latency table, filled on demand; by default one in the user's cache folder."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of architectures.csv.", required=True)


def main(_: Sequence[str]) -> None:
    """Examines the networks that have no row yet, and prints all rows."""
    with quiet_native_code():
        from benchmarks.anatomy import AnatomyFile, anatomy, anatomy_table
        from tflite_bench.host import HostMeter
        from tflite_bench.latency_table import default_table
        from tflite_bench.target import parse_target

    target = parse_target(_TARGET.value)
    rows = AnatomyFile(Path(_OUTPUT.value) / "architectures.csv", str(target), _RESOLUTION.value)
    table = Path(_TABLE.value) if _TABLE.value else default_table()
    with HostMeter(target) as meter:
        for name in _NETWORKS.value:
            if name not in rows.names:
                rows.add(anatomy(name, _RESOLUTION.value, target, meter, table))
    print(anatomy_table(rows.found))


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from what was finished.")
