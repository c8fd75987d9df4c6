r"""Delivers more networks of a search: one search serves later budgets.

The network of iteration 7, long-term fine-tuned, converted, measured and tested as the run's own:

  python -m netadapt_tf.finetune --run_dir=runs/demo --iteration=7

The largest network of the run that is within a budget; five along the curve:

  python -m netadapt_tf.finetune --run_dir=runs/demo \
      --budget=latency@host/cpu:1=75%

  python -m netadapt_tf.finetune --run_dir=runs/demo --pareto=5

Each is kept in the run directory, in family/NNN, and what is finished is not done again. Data, precision, threads and
all settings are those of the run. For budgets below what the run has reached go on with it: the command that began it,
with the lower budget.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from netadapt_tf.stored_request import read_config, request_of
from tflite_bench.binary import quiet_native_code, run
from tflite_bench.errors import UserError

_LARGEST = 2**31 - 1

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Of netadapt_tf.adapt; the search may be unfinished.", required=True)
_ITERATIONS = flags.DEFINE_multi_integer(
    "iteration", None, "Number of an iteration; 0 is the start, which is delivered as it is. Repeatable."
)
_BUDGETS = flags.DEFINE_multi_string(
    "budget",
    None,
    "RESOURCE[@TARGET]=AMOUNT, as in netadapt_tf.adapt: the first, and so the largest, network of the run that is "
    "within it, by the search's measurements and by that of its delivered file. What the search did not measure, "
    "latency on another target, is measured now. Repeatable; one network meets all.",
)
_PARETO = flags.DEFINE_integer(
    "pareto",
    None,
    "How many networks along the curve. The way from the start's latency to the last iteration's is cut into as many "
    "equal steps; the end of each takes the iteration nearest by latency, as the search measured it, of those that no "
    "other beats in latency and accuracy on the hold-out set, or of all where these are too few. The last iteration is "
    "always among them. Latency is that of the run's first budget on latency; in a run without one it is "
    "what its first budget is about.",
    lower_bound=1,
    upper_bound=_LARGEST,
)
_EPOCHS = flags.DEFINE_integer(
    "epochs",
    None,
    "Of the long-term fine-tune (of retraining: those beyond pre-training's); by default the run's --long_term_epochs.",
    lower_bound=0,
    upper_bound=_LARGEST,
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate",
    None,
    "Of the long-term fine-tune, at its first step; by default the run's --long_term_learning_rate.",
    lower_bound=0.0,
)
_TABLE = flags.DEFINE_string("table", None, "File of the latency table; by default that of netadapt_tf.adapt.")
_BENCHMARK_MODELS = flags.DEFINE_multi_string(
    "benchmark_model",
    [],
    "[ABI:]PATH. Binary of TensorFlow Lite's or LiteRT's benchmark_model, for targets android and benchmark_model; "
    "repeatable, one for each ABI.",
)
_ALLOW_LAMBDA = flags.DEFINE_bool(
    "allow_lambda", False, "Load networks that hold Python code (Lambda or custom layers): it runs here."
)

_FLAG_GROUPS = {
    "Which networks": (_RUN_DIR, _ITERATIONS, _BUDGETS, _PARETO),
    "Training": (_EPOCHS, _LEARNING_RATE),
    "Measuring": (_TABLE, _BENCHMARK_MODELS),
    "Trust": (_ALLOW_LAMBDA,),
}


def main(_: Sequence[str]) -> None:
    """Reads back what the run was asked, delivers the networks, prints their table."""
    _check_one_choice()
    run_dir = Path(_RUN_DIR.value)
    request = request_of(
        read_config(run_dir),
        run_dir,
        table=Path(_TABLE.value) if _TABLE.value else None,
        benchmark_models=tuple(_BENCHMARK_MODELS.value),
        allow_lambda=_ALLOW_LAMBDA.value,
    )
    with quiet_native_code():  # TensorFlow's start takes seconds: not for --help
        from netadapt_tf import job
        from netadapt_tf.reporting.family import family_table
        from netadapt_tf.training.repeatable import make_repeatable

    make_repeatable(request.threads, request.settings.strategy)
    members = job.finetune(
        request,
        _ITERATIONS.value or (),
        _BUDGETS.value or (),
        _PARETO.value or 0,
        _EPOCHS.value,
        _LEARNING_RATE.value,
        command="python -m netadapt_tf.finetune " + shlex.join(sys.argv[1:]),
    )
    if members:
        print(family_table([(member.keras_path.parent, member.summary) for member in members]))


def _check_one_choice() -> None:
    given = [flag.name for flag in (_ITERATIONS, _BUDGETS, _PARETO) if flag.value]
    if len(given) != 1:
        said = f"{' and '.join(f'--{name}' for name in given)} are given" if given else "none is given"
        raise UserError(f"one of --iteration, --budget and --pareto says which networks; {said}")


def entry_point() -> None:
    """The binary, as it is installed."""
    run(main, "The same command goes on from what was finished.", _FLAG_GROUPS)


if __name__ == "__main__":
    entry_point()
