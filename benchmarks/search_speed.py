r"""Where a search's wall time goes, against a search that rebuilds every proposal, and what screening would save.

Example, which docs/performance.md tells of, in about half an hour on two cores:

  python -m benchmarks.search_speed --steps=40 --screening_steps=40

Two searches of MobileNetV1 0.25 at 64 px, batches of 128, by latency. In the first every proposal is fine-tuned in
three ways, the one first in turn: masked on the iteration's traced step, as netadapt_tf does; as a narrower network of
its own that is built, and the same step traced for it; and as such a network trained by Keras' compile and fit. All
see the same candidates, filters, batches and numbers of steps; the search goes on with the masked ones. In the second
each proposal stops where --screen would compare it, is evaluated, and goes on: which proposals would have been
fine-tuned to the end, was the best among them, how much time would have been saved.

Latencies are measured and the table filled as always, on an idle machine if you can.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from absl import flags

from netadapt_tf.settings import Settings
from tflite_bench.binary import quiet_native_code, run

_STEPS = flags.DEFINE_integer("steps", 40, "Short-term steps of the first search; 0: leave it out.", lower_bound=0)
_SCREENING_STEPS = flags.DEFINE_integer("screening_steps", 0, "Of the second; 0: leave it out.", lower_bound=0)
_PERCENT = flags.DEFINE_integer("percent", 85, "The budget of both, of the start's latency.", 1, 100)
_DATASET = flags.DEFINE_string("dataset", "fashion_mnist_12k", "See netadapt_tf.adapt.")
_HOLDOUT_IMAGES = flags.DEFINE_integer("holdout_images", 1000, "To rank proposals.", lower_bound=1)
_PRETRAIN_EPOCHS = flags.DEFINE_integer("pretrain_epochs", 2, "Of the starting network.", lower_bound=0)
_RESOLUTION = flags.DEFINE_integer("resolution", 64, "Height and width of its input, in pixels.", 32, 4096)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything.", lower_bound=0)
_THREADS = flags.DEFINE_integer("threads", 2, "Training threads of one operation.", 1, 1024)

_ALPHA, _BATCH_SIZE = 0.25, 128


def main(_: Sequence[str]) -> None:
    """Reads the flags, searches, prints."""
    with quiet_native_code():
        from benchmarks.rebuilding import KERAS, REBUILT, SideBySide, shares, speed_ups
        from benchmarks.screening_trial import Watched
        from netadapt_tf.training.repeatable import make_repeatable

        make_repeatable(_THREADS.value)
    if _STEPS.value:
        executor, laps = _searched(SideBySide, _STEPS.value)
        print(f"{_STEPS.value} steps, {len(laps)} iterations: {shares(executor.iterations, laps)}")
        for way in (REBUILT, KERAS):
            ratios = speed_ups(way, executor.iterations, laps)
            alike = sum(one.picks_alike(way) for one in executor.iterations)
            print(
                f"{way} / masks: {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
                f"they pick alike in {alike} of {len(laps)} iterations",
                flush=True,
            )
    if _SCREENING_STEPS.value:
        executor, laps = _searched(Watched, _SCREENING_STEPS.value)
        trials = executor.trials
        saved = [trial.saved for trial in trials]
        print(
            f"screening at {_SCREENING_STEPS.value} steps: the same pick in {sum(t.keeps_the_best for t in trials)} of "
            f"{len(trials)} iterations, hold-out accuracy lost in the others "
            f"{', '.join(f'{t.lost:.2%}' for t in trials if not t.keeps_the_best) or 'none'}; saves "
            f"{np.median(saved):.0%} of the fine-tunes' time ({min(saved):.0%} to {max(saved):.0%})"
        )


def _searched(make: Callable[..., Any], steps: int) -> tuple[Any, list[Mapping[str, float]]]:
    """One search with an executor of this benchmark's; returns that and the journal's seconds by iteration."""
    from netadapt_tf.adaptation import adapt_network
    from netadapt_tf.networks.by_name import NETWORKS
    from netadapt_tf.search.executors.executor import Bench
    from netadapt_tf.search.journal import Journal
    from netadapt_tf.training.image_dataset import load_image_dataset

    made: list[Any] = []

    def opened(place: Any, datasets: Any, source: Any, task: Any, settings: Settings) -> Any:
        made.append(make(Bench(lambda: datasets, task, settings)))
        return made[-1]

    images = load_image_dataset(_DATASET.value, _RESOLUTION.value, _HOLDOUT_IMAGES.value, None, _SEED.value)
    named = NETWORKS["mobilenet_v1"]
    network = named.build(named.widths(_ALPHA), _RESOLUTION.value, images.train.classes)
    with tempfile.TemporaryDirectory() as folder, mock.patch("netadapt_tf.adaptation.opened", opened):
        adapt_network(
            network,
            images.datasets(_BATCH_SIZE, "tf"),
            [f"latency@host/cpu:1={_PERCENT.value}%"],
            Path(folder) / "run",
            settings=Settings(
                pretrain_epochs=_PRETRAIN_EPOCHS.value, short_term_steps=steps, long_term_epochs=0, seed=_SEED.value
            ),
        )
        journal = Journal(Path(folder) / "run" / "journal.jsonl")
    laps = [record["wall_s"] for record in journal.events("iteration") if record["iteration"]]
    assert len(made) == 1, "the delivered file disagreed with the search, which went on"
    return made[0], laps


if __name__ == "__main__":
    run(main)
