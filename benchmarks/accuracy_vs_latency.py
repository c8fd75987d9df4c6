r"""Accuracy over latency: NetAdapt, and what a user would do instead, at several budgets and with several seeds.

  python -m benchmarks.accuracy_vs_latency --output=benchmarks/results/accuracy_vs_latency \
      --picture=docs/accuracy_vs_latency.png

Every row is a network with its widths and the training it had. Finished rows are kept in the output folder and not done
again: the same command goes on, and run twice at the same time it works at two seeds. `--rows` and `--seeds` choose
what to do now. What a row was trained from, searches and checkpoints, lies in `seed_N` there while rows are missing;
where that is gone, it is made again. Rows that are not chosen by latency may be trained on any machine; those that are
have to be of one, which is checked.

Rows, for each seed; all but start at every budget, multipliers also at the starting network's widths:
  start                            pre-trained; what is to be made faster
  netadapt                         searched by latency, then fine-tuned; one search serves all budgets
  netadapt by MACs                 the first network of a search by MACs that is measured to be within the budget, then
                                   fine-tuned alike
  multiplier                       the widest width multiplier within the budget, from fresh weights, for as many
                                   steps as pre-training and long-term fine-tune
  multiplier for the whole compute the same for as many steps as netadapt's row took, search included
  multiplier taught                the same for as many steps, the starting network's, which teaches it, among them
  uniform                          every group shrunk alike by L2 norm, fine-tuned alike
  MorphNet-style                   batch norm scales driven to zero (see scale_regulariser), then fine-tuned alike
  retrained                        netadapt's shape from fresh weights, as long as multiplier (--final=retrain)
  retrained for the whole compute  the same, as long as multiplier for the whole compute
  ... doubled                      of one seed and budget, the row's last training twice as long: has it converged?

Only where --rows names it:
  netadapt untaught                netadapt with --distillation=0
  netadapt searched again          the same once more: what is measured in a search differs a little every time
  netadapt by hold-out loss        proposals are ranked by it in place of the hold-out accuracy
  netadapt of small steps by hold-out loss
                                   the same with twice as many iterations, and 10 steps for each proposal
  netadapt of small steps with mid-term fine-tunes
                                   that again, and every iteration's picked network is trained for three epochs
  netadapt of quarter steps with mid-term fine-tunes
                                   four times as many iterations, 3 steps for each proposal, one such epoch
  netadapt with mid-term fine-tunes by hold-out loss
                                   iterations and proposals as in netadapt, and five such epochs
  MorphNet-style regularised again MorphNet-style once more; with a --table of its own its costs are measured anew
  netadapt by best ratio, netadapt by Taylor, netadapt of 40 steps, netadapt of small steps
                                   netadapt with other settings of its search
  netadapt cut at once, MorphNet-style cut at once
                                   their shapes, but cut from the starting network by L2 norm, as uniform shrinking is
  ... at a rate of 0.15            any row of each seed but start, its last training from that learning rate on; as many
                                   steps as netadapt's are those of netadapt at a rate of 0.15 then; and:
  netadapt of small steps with mid-term fine-tunes at a rate of 0.15
  netadapt of a last stage twice as long at a rate of 0.15

At the end all networks are built anew from their widths and timed, each in turn with the starting network; the latency
column comes only from there. Accuracy is that of the `.tflite` on the whole test set; intervals are a bootstrap over
test images and seeds, paired where two kinds are compared.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.comparison_plan import AGAINST, KINDS, TRIED
from benchmarks.configuration import UNNAMED
from netadapt_tf.networks.by_name import NETWORKS
from netadapt_tf.settings import Settings
from tflite_bench.binary import quiet_native_code, run
from tflite_bench.errors import UserError

_OUTPUT = flags.DEFINE_string("output", None, "Folder of rows and of what they come to.", required=True)
_PICTURE = flags.DEFINE_string("picture", None, "The picture; by default comparison.png in --output.")
_NETWORK = flags.DEFINE_enum("network", UNNAMED, list(NETWORKS), "The starting network.")
_ALPHA = flags.DEFINE_float("alpha", 0.25, "Its width multiplier.", 0.125, 4.0)
_RESOLUTION = flags.DEFINE_integer("resolution", 64, "Height and width of its input, in pixels.", 32, 4096)
_DATASET = flags.DEFINE_string("dataset", "fashion_mnist", "See netadapt_tf.adapt.")
_TRAIN_IMAGES = flags.DEFINE_integer("train_images", 5000, "Training images, hold-out images included.", 2)
_HOLDOUT_IMAGES = flags.DEFINE_integer("holdout_images", 1000, "Of them, to rank proposals.", 1)
_TARGET = flags.DEFINE_string("target", "host/cpu:1", "Where latency is measured.")
_PERCENTS = flags.DEFINE_list("percents", ["70", "50", "35"], "Latency budgets, of the starting network's latency.")
_PRETRAIN_EPOCHS = flags.DEFINE_integer("pretrain_epochs", 60, "Epochs of the starting network.", 1)
_LONG_TERM_EPOCHS = flags.DEFINE_integer("long_term_epochs", 40, "Epochs of the long-term fine-tune.", 1)
_SHORT_TERM_STEPS = flags.DEFINE_integer("short_term_steps", 20, "Steps of each proposal.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Of everything.")
_ROWS = flags.DEFINE_list("rows", list(KINDS), "Kinds of rows to train now.")
_AGAINST = flags.DEFINE_enum("against", AGAINST[0], AGAINST, "Which of NetAdapt's rows the others are compared with.")
_DOUBLED = flags.DEFINE_bool("doubled", True, "Train the doubled rows, too.")
_TABLE = flags.DEFINE_string("table", None, "File of the latency table; by default one in the user's cache folder.")
_THREADS = flags.DEFINE_integer("threads", 1, "Training threads of one operation.", 1, 1024)
_MEASURINGS = flags.DEFINE_integer(
    "measurings", 5, "How often the networks are timed, one after the other; 0 keeps the last latencies.", 0
)


def main(_: Sequence[str]) -> None:
    """Reads the flags, does what rows are missing, measures, prints and draws what they come to."""
    with quiet_native_code():
        from benchmarks.comparison import Comparison
        from benchmarks.comparison_points import convergence, table, verdict, write_points
        from benchmarks.comparison_problem import Problem
        from benchmarks.drawing import draw_comparison
        from netadapt_tf.training.repeatable import make_repeatable

        make_repeatable(_THREADS.value)
    problem = Problem(
        network=_NETWORK.value,
        alpha=_ALPHA.value,
        resolution=_RESOLUTION.value,
        dataset=_DATASET.value,
        train_images=_TRAIN_IMAGES.value,
        holdout_images=_HOLDOUT_IMAGES.value,
        target=_TARGET.value,
        percents=tuple(_integers("percents", _PERCENTS.value)),
        threads=_THREADS.value,
        settings=Settings(
            pretrain_epochs=_PRETRAIN_EPOCHS.value,
            long_term_epochs=_LONG_TERM_EPOCHS.value,
            short_term_steps=_SHORT_TERM_STEPS.value,
        ),
    )
    seeds, unknown = _integers("seeds", _SEEDS.value), set(_ROWS.value) - {*KINDS, *TRIED}
    if unknown:
        raise UserError(
            f"--rows should list some of {', '.join((*KINDS, *TRIED))}; it lists {', '.join(sorted(unknown))}"
        )
    folder = Path(_OUTPUT.value)
    comparison = Comparison(problem, folder, _TABLE.value)
    if _MEASURINGS.value:
        comparison.check_machine()
    comparison.train_missing_rows(seeds, _ROWS.value, _DOUBLED.value)
    points = comparison.points(_MEASURINGS.value)
    if not points:
        print(f"No row of {folder} is timed yet: without --measurings=0 the same command does that.")
        return
    write_points(folder / "points.csv", points)
    draw_comparison([*points.values()], Path(_PICTURE.value) if _PICTURE.value else folder / "comparison.png")
    against = _AGAINST.value
    print("\n\n".join([table(points, against), convergence(points), verdict(points, against)]))


def _integers(flag: str, texts: Sequence[str]) -> list[int]:
    try:
        return [int(text) for text in texts]
    except ValueError as error:
        raise UserError(f"--{flag} should list integers, not {','.join(texts)}") from error


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from the finished rows.")
