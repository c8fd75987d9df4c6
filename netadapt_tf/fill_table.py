r"""Fills a latency table with every layer that a search of a network can ask for, on one target.

On the phone of that serial, which takes hours; the same command goes on after an interruption:

  python -m netadapt_tf.fill_table --network=mobilenet_v1 --alpha=1.0 \
      --resolution=224 --target=android:SERIAL/cpu:1 \
      --benchmark_model=./benchmark_model

A search on a machine that has the phone needs none of this: it measures what it asks for. This is for phone labs: fill,
then carry the table (tflite_bench.show_table --export, --import), then search with --table_only. With --dry_run the
command only says how much there is to measure; a larger --filter_multiple makes that less.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from netadapt_tf.networks.by_name import NAMES, NETWORKS
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import duration
from tflite_bench.binary import quiet_native_code, run
from tflite_bench.errors import UserError
from tflite_bench.latency_table import DEFAULT_TABLE, default_table
from tflite_bench.meters import Meters
from tflite_bench.precision import PRECISIONS
from tflite_bench.target import GRAMMAR, Target, parse_target

if TYPE_CHECKING:
    from netadapt_tf.filling import FillingPlan

_NETWORK = flags.DEFINE_string(
    "network", "mobilenet_v1", f"{', '.join(NETWORKS)}, or the path of a network (.keras, .h5)."
)
_ALPHA = flags.DEFINE_float("alpha", 1.0, f"Width multiplier of {NAMES}.", lower_bound=0.125, upper_bound=4.0)
_RESOLUTION = flags.DEFINE_integer(
    "resolution", 224, f"Height and width of the input of {NAMES}, in pixels.", lower_bound=32, upper_bound=4096
)
_CLASSES = flags.DEFINE_integer(
    "classes", 1000, f"Classes of {NAMES}; those of the data set that it will be adapted with.", lower_bound=2
)
_TARGET = flags.DEFINE_string("target", None, f"Where to measure: {GRAMMAR}.", required=True)
_BENCHMARK_MODELS = flags.DEFINE_multi_string(
    "benchmark_model",
    [],
    "[ABI:]PATH. Binary of TensorFlow Lite's or LiteRT's benchmark_model, for targets android and benchmark_model; "
    "repeatable, one for each ABI.",
)
_TABLE = flags.DEFINE_string("table", None, f"File of the latency table; by default {DEFAULT_TABLE}.")
_FILTER_MULTIPLE = flags.DEFINE_integer(
    "filter_multiple", Settings().filter_multiple, "As in netadapt_tf.adapt, which should use the same.", lower_bound=1
)
_PRECISION = flags.DEFINE_enum(
    "precision", Settings().precision, PRECISIONS, "As in netadapt_tf.adapt: a table of one does not tell of another."
)
_AGAIN_FLAGGED = flags.DEFINE_bool(
    "again_flagged", False, "Measure again the entries that were measured while the device drifted (! in show_table)."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Only say how much there is to measure, and about how long it takes.")

_FLAG_GROUPS = {
    "What is asked": (_TARGET, _DRY_RUN, _AGAIN_FLAGGED),
    "The network": (_NETWORK, _ALPHA, _RESOLUTION, _CLASSES, _FILTER_MULTIPLE, _PRECISION),
    "Measuring": (_TABLE, _BENCHMARK_MODELS),
}


def main(_: Sequence[str]) -> None:
    """Counts, says how long it will take, and measures."""
    target = parse_target(_TARGET.value)
    table = Path(_TABLE.value) if _TABLE.value else default_table()
    with quiet_native_code():  # TensorFlow's start takes seconds: not for --help
        from netadapt_tf.filling import Filling
        from netadapt_tf.networks.files import load_network
    with Meters(_BENCHMARK_MODELS.value) as meters:
        meter = meters.of(target)
        if _NETWORK.value in NETWORKS:
            named = NETWORKS[_NETWORK.value]
            network = named.build(named.widths(_ALPHA.value), _RESOLUTION.value, _CLASSES.value)
        else:
            _check_no_size()
            network = load_network(Path(_NETWORK.value))
        filling = Filling(network, target, meter, table, _FILTER_MULTIPLE.value, _PRECISION.value, _AGAIN_FLAGGED.value)
        plan = filling.plan()
        print(_text(plan, target, _AGAIN_FLAGGED.value), flush=True)
        if _DRY_RUN.value:
            return
        failed = filling.run(plan)
    print(f"{table}: {len(plan.layers) - len(failed):,} of {len(plan.layers):,} layers")
    if failed:
        raise UserError(f"{len(failed)} layers could not be measured on {target}, as said above")


def _text(plan: "FillingPlan", target: Target, again_flagged: bool) -> str:
    lacking = "flagged, or not in the table yet" if again_flagged else "not in the table yet"
    counts = f"{len(plan.layers):,} layers in the grid, {len(plan.missing):,} of them {lacking}"
    if not plan.missing:
        return counts
    networks = f", in {len(plan.networks):,} networks" if plan.networks else ""
    return (
        f"{counts}{networks}: about {duration(plan.seconds)} on {target}; batches that are repeated and pauses to cool "
        "come on top"
    )


def _check_no_size() -> None:
    given = [name for name in ("alpha", "resolution", "classes") if flags.FLAGS[name].present]
    if given:
        raise UserError(f"--{given[0]} is for {NAMES}; a network from a file has its own")


def entry_point() -> None:
    """The binary, as it is installed."""
    run(main, "The same command goes on from what was measured.", _FLAG_GROUPS)


if __name__ == "__main__":
    entry_point()
