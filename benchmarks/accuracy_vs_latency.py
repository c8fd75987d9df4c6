r"""Accuracy at one latency budget: NetAdapt, and what a user would do instead.

  python -m benchmarks.accuracy_vs_latency --output=benchmarks/results/accuracy_vs_latency

Every row is a network with its widths and the training it had. Finished rows are kept in the output folder and not
done again: the same command goes on. At the end all networks are built anew from their widths and timed, each in turn
with the starting network; the latency column comes only from there. Accuracy is that of the `.tflite` on the whole
test set; differences to NetAdapt's row are paired by image.

Rows:
  start                          pre-trained; what is to be made faster
  netadapt                       searched, then fine-tuned (--final=fine_tune)
  netadapt, retrained            its shape from fresh weights, pre-training plus long-term steps (--final=retrain)
  uniform                        every group shrunk alike by L2 norm, the same long-term fine-tune
  uniform, whole compute         and for as many steps besides as the search took
  multiplier                     the same widths from fresh weights, pre-training plus long-term steps
  multiplier, whole compute      and for as many steps besides as the search took
  ..., doubled                   the row's last training twice as long, against the row: does it gain half a point?
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.configuration import UNNAMED
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.settings import Settings
from tflite_bench.binary import quiet_native_code, run

_OUTPUT = flags.DEFINE_string("output", None, "Folder of rows, networks and the table.", required=True)
_NETWORK = flags.DEFINE_enum("network", UNNAMED, list(NETWORKS), "The starting network.")
_ALPHA = flags.DEFINE_float("alpha", 0.25, "Its width multiplier.", 0.125, 4.0)
_RESOLUTION = flags.DEFINE_integer("resolution", 64, "Height and width of its input, in pixels.", 32, 4096)
_DATASET = flags.DEFINE_string("dataset", "fashion_mnist", "See netadapt_tf.adapt.")
_TRAIN_IMAGES = flags.DEFINE_integer("train_images", 5000, "Training images, hold-out images included.", 2)
_HOLDOUT_IMAGES = flags.DEFINE_integer("holdout_images", 1000, "Of them, to rank proposals.", 1)
_BUDGET = flags.DEFINE_string("budget", "latency@host/cpu:1=50%", "One latency budget.")
_PRETRAIN_EPOCHS = flags.DEFINE_integer("pretrain_epochs", 60, "Epochs of the starting network.", 1)
_LONG_TERM_EPOCHS = flags.DEFINE_integer("long_term_epochs", 40, "Epochs of the long-term fine-tune.", 1)
_SHORT_TERM_STEPS = flags.DEFINE_integer("short_term_steps", 20, "Steps of each proposal.")
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.")
_THREADS = flags.DEFINE_integer("threads", 2, "Training threads of one operation.", 1, 1024)
_MEASURINGS = flags.DEFINE_integer("measurings", 5, "How often the networks are timed, one after the other.", 1)


def main(_: Sequence[str]) -> None:
    """Reads the flags, does what rows are missing, measures, prints the table."""
    with quiet_native_code():
        from benchmarks.comparison import Comparison, Problem
        from netadapt_tf.training.repeatable import make_repeatable

        make_repeatable(_THREADS.value)
    problem = Problem(
        network=_NETWORK.value,
        alpha=_ALPHA.value,
        resolution=_RESOLUTION.value,
        dataset=_DATASET.value,
        train_images=_TRAIN_IMAGES.value,
        holdout_images=_HOLDOUT_IMAGES.value,
        budget=_BUDGET.value,
        settings=Settings(
            pretrain_epochs=_PRETRAIN_EPOCHS.value,
            long_term_epochs=_LONG_TERM_EPOCHS.value,
            short_term_steps=_SHORT_TERM_STEPS.value,
            seed=_SEED.value,
        ),
    )
    comparison = Comparison(problem, Path(_OUTPUT.value))
    comparison.train_missing_rows()
    print(comparison.table(comparison.measured_ratios(_MEASURINGS.value)))


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from the finished rows.")
