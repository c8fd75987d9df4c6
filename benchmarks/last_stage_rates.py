r"""What learning rate the last stage should begin at: what searches ended with, fine-tuned from several.

  python -m benchmarks.last_stage_rates --run_dir=runs/one --run_dir=runs/other --test_dataset=fashion_mnist \
      --output=benchmarks/results/last_stage_rates

The last network of each search is fine-tuned as netadapt_tf.adapt does, with the run's epochs and its teacher, once for
every rate and seed; a seed decides the order of the images. Accuracy is that of the `.tflite`. Finished rows are kept
in the output folder, those of other runs, too, and not done again: the same command goes on. Intervals are a bootstrap
over test images and fine-tunes, paired.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tflite_bench.binary import quiet_native_code, run
from tflite_bench.errors import UserError

_OUTPUT = flags.DEFINE_string("output", None, "Folder of the rows.", required=True)
_RUN_DIRS = flags.DEFINE_multi_string(
    "run_dir", None, "Of netadapt_tf.adapt; its name tells its rows from those of others. Repeatable.", required=True
)
_RATES = flags.DEFINE_list("rates", ["0.05", "0.15"], "Learning rates; the others are compared with the first.")
_SEEDS = flags.DEFINE_list("seeds", ["1", "2", "3"], "Of the order of images.")
_TEST_DATASET = flags.DEFINE_string(
    "test_dataset", None, "Whose test split; by default that of a run's data set. A folder of rows is for one."
)
_THREADS = flags.DEFINE_integer("threads", 1, "Training threads of one operation.", 1, 1024)


def main(_: Sequence[str]) -> None:
    """Reads the flags, trains what rows are missing, prints how the rates compare."""
    try:
        rates, seeds = [float(rate) for rate in _RATES.value], [int(seed) for seed in _SEEDS.value]
    except ValueError as error:
        raise UserError(f"--rates should list numbers and --seeds integers: {error}") from error
    with quiet_native_code():
        from benchmarks.last_stage import LastStages
        from netadapt_tf.training.repeatable import make_repeatable

    make_repeatable(_THREADS.value)
    stages = LastStages(Path(_OUTPUT.value), _TEST_DATASET.value)
    run_dirs = [Path(run_dir) for run_dir in _RUN_DIRS.value]
    for run_dir, seed, rate in itertools.product(run_dirs, seeds, rates):
        stages.do(run_dir, seed, rate)
    for chosen in (*([run_dir] for run_dir in run_dirs), run_dirs):
        print(stages.compared(chosen, seeds, rates))


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from the finished rows.")
