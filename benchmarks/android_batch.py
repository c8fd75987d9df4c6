r"""What it costs to bring one-layer models to a phone and their readings back: a batch in one session, or one by one.

Example, about three minutes on the emulated phone of the tests, which needs no hardware:

  python -m benchmarks.android_batch --output=benchmarks/results

Both ways measure the same models with the same runs of the tool, in turn. What counts is the time outside of the tool,
by the phone's own log. It proves nothing about phones' speed; it is the conversation that is timed.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tflite_bench.binary import run

_MODELS = flags.DEFINE_integer("models", 100, "How many one-layer models.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "How often each way takes its turn.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of android_batch.csv.", required=True)


def main(_: Sequence[str]) -> None:
    """Measures in both ways, round by round; a round that is in the file is not run again."""
    from benchmarks.batching import run_rounds, summary

    rows = run_rounds(Path(_OUTPUT.value) / "android_batch.csv", _MODELS.value, _ROUNDS.value)
    print(summary(rows))


if __name__ == "__main__":
    run(main, resume_hint="The same command goes on from what was finished.")
