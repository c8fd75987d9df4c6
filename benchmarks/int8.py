r"""What int8 costs, and whether searching in int8 is worth it.

  python -m benchmarks.int8 --output=benchmarks/results/int8

For every seed a network is pre-trained once, and adapted twice to a latency budget: searched in int8, whose table and
measurements are of int8 models; and searched in float32, until a network of that search is as fast in int8 as the
other. Both have the same long-term fine-tune. All networks are converted to int8 after training, and once more after
quantisation-aware training. Finished rows are kept in the output folder and not done again: the same command goes on.
At the end all int8 files are timed, each in turn with the starting network's; the latency column comes only from there.

Rows:
  start                 pre-trained; what is to be made faster
  searched in int8      what netadapt_tf.adapt --precision=int8 finds
  searched in float32   the first network of a float32 search that is measured to be no slower in int8
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from netadapt_tf.settings import Settings
from tflite_bench.binary import quiet_native_code, run
from tflite_bench.errors import UserError

_OUTPUT = flags.DEFINE_string("output", None, "Folder of rows, networks and the table.", required=True)
_ALPHA = flags.DEFINE_float("alpha", 0.25, "Width multiplier of the starting MobileNetV1.", 0.125, 4.0)
_RESOLUTION = flags.DEFINE_integer("resolution", 64, "Height and width of its input, in pixels.", 32, 4096)
_DATASET = flags.DEFINE_string("dataset", "fashion_mnist", "See netadapt_tf.adapt.")
_TRAIN_IMAGES = flags.DEFINE_integer("train_images", 5000, "Training images, hold-out images included.", 2)
_HOLDOUT_IMAGES = flags.DEFINE_integer("holdout_images", 1000, "Of them, to rank proposals.", 1)
_TARGET = flags.DEFINE_string("target", "host/cpu:1", "Where to measure.")
_PERCENT = flags.DEFINE_integer("percent", 60, "The latency budget of the int8 search, of the start's.", 1, 100)
_PRETRAIN_EPOCHS = flags.DEFINE_integer("pretrain_epochs", 40, "Epochs of the starting network.", 1)
_LONG_TERM_EPOCHS = flags.DEFINE_integer("long_term_epochs", 20, "Epochs of the long-term fine-tune.", 1)
_SHORT_TERM_STEPS = flags.DEFINE_integer("short_term_steps", 10, "Steps of each proposal.")
_QUANTIZATION_AWARE_EPOCHS = flags.DEFINE_integer("quantization_aware_epochs", 3, "Of each network.", 1)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of everything.")
_THREADS = flags.DEFINE_integer("threads", 2, "Training threads of one operation.", 1, 1024)
_MEASURINGS = flags.DEFINE_integer("measurings", 5, "How often the networks are timed, one after the other.", 1)


def main(_: Sequence[str]) -> None:
    """Reads the flags, does what rows are missing, measures, prints the table."""
    with quiet_native_code():
        from benchmarks.int8_rows import Int8Rows, Problem
        from netadapt_tf.training.repeatable import make_repeatable

        make_repeatable(_THREADS.value)
    try:
        seeds = [int(seed) for seed in _SEEDS.value]
    except ValueError as error:
        raise UserError(f"--seeds should list integers, not {','.join(_SEEDS.value)}") from error
    rows = Int8Rows(
        Problem(
            alpha=_ALPHA.value,
            resolution=_RESOLUTION.value,
            dataset=_DATASET.value,
            train_images=_TRAIN_IMAGES.value,
            holdout_images=_HOLDOUT_IMAGES.value,
            target=_TARGET.value,
            percent=_PERCENT.value,
            settings=Settings(
                pretrain_epochs=_PRETRAIN_EPOCHS.value,
                long_term_epochs=_LONG_TERM_EPOCHS.value,
                short_term_steps=_SHORT_TERM_STEPS.value,
                distillation=0.0,  # training that knows of the rounding has no teacher
                precision="int8",
                quantization_aware_epochs=_QUANTIZATION_AWARE_EPOCHS.value,
            ),
        ),
        Path(_OUTPUT.value),
    )
    for seed in seeds:
        rows.train_missing(seed)
    print(rows.table(rows.measured_ratios(_MEASURINGS.value)))


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from the finished rows.")
