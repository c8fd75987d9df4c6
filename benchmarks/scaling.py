r"""What a search would take on 1 to 64 workers: a simulation from the journal of a search on one.

Example, which docs/scaling.md tells of, behind a run that takes minutes:

  python -m netadapt_tf.adapt --network=mobilenet_v1 --alpha=0.25 --resolution=64 --dataset=fashion_mnist_12k \
      --train_images=2000 --holdout_images=400 --pretrain_epochs=1 --long_term_epochs=0 --short_term_steps=10 \
      --budget=macs=80% --run_dir=runs/scaling
  python -m benchmarks.scaling --run_dir=runs/scaling

Nothing is run. The durations of the proposals are scheduled onto workers, iteration by iteration, each to the worker
that is free first; what the search does alone stays as long as it was. Every worker is as fast as the one that was
recorded, with as many threads; sending data, networks and results costs nothing, and no worker starts late or is lost.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.list_scheduling import recorded, summary, table
from netadapt_tf.search.journal import Journal
from tflite_bench.binary import run
from tflite_bench.errors import UserError

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Of an uninterrupted adaptation with --executor=serial.", required=True)
_WORKERS = flags.DEFINE_list("workers", ["1", "2", "4", "8", "16", "32", "64"], "Numbers of workers.")
flags.register_validator(
    _WORKERS, lambda workers: all(count.isdecimal() and int(count) for count in workers), "numbers of 1 or more"
)


def main(_: Sequence[str]) -> None:
    """Reads the flags, simulates, prints."""
    path = Path(_RUN_DIR.value) / "journal.jsonl"
    if not path.is_file():
        raise UserError(f"{path} is not there; name the directory of a run with --run_dir")
    iterations = recorded(Journal(path).events())
    print(f"A simulation from what {path} recorded on one worker: {summary(iterations)}.\n")
    print(table(iterations, map(int, _WORKERS.value)))


if __name__ == "__main__":
    run(main)
