"""Adaptations of a tiny network that are killed again and again, and called again, until each is done.

    python -m tests.netadapt_tf.killed_runs FOLDER KILLS SEED

TensorFlow is imported once and never used here: every attempt is a forked process, which starts TensorFlow for itself.
The run in `FOLDER/whole` is never killed; those in `FOLDER/0`, `FOLDER/1`, … are, KILLS times in all.
"""

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from netadapt_tf import Datasets, Settings, adapt_network, problem
from netadapt_tf.search.journal import Journal
from netadapt_tf.training.repeatable import make_repeatable
from netadapt_tf.training.trainer import Trainer
from tests.fake_meter import FakeMeter
from tests.tiny_networks import tiny_cnn
from tflite_bench import latency_table, table_file, unfinished
from tflite_bench.timing import Job, Reading

MOMENTS = {
    **{"timing": 60, "storing": 40, "appending": 6, "renaming": 8, "renamed": 6},
    **{"pre-training": 10, "proposal": 8, "mid-term": 20, "long-term": 18},
}
"""Kinds of moments, and at which one of a kind, counted from an attempt's start, it may be killed at the latest."""

BUDGET = "latency@host/cpu:1=60%"
SETTINGS = Settings(
    initial_reduction=0.2,
    filter_multiple=2,
    pretrain_epochs=2,
    short_term_steps=2,
    mid_term_epochs=2,
    long_term_epochs=4,
)


class Moments:
    """Counts moments of each kind, and kills this process at one."""

    def __init__(self, kind: str, at: int) -> None:
        self._kind, self._at = kind, at
        self._seen: Counter[str] = Counter()

    def reached(self, kind: str, last_words: Callable[[], object] = lambda: None) -> None:
        self._seen[kind] += 1
        if kind == self._kind and self._seen[kind] == self._at:
            last_words()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, run_dir: Path) -> None:
        """Puts itself into everything that writes, trains and measures."""
        start = run_dir / "iterations" / "000"
        replace, append, fit, transaction = os.replace, Journal.append, Trainer.fit, table_file.transaction

        def watched_replace(source: Any, target: Any) -> None:
            self.reached("renaming")
            replace(source, target)
            self.reached("renamed")

        def watched_append(journal: Journal, event: str, **values: Any) -> dict[str, Any]:
            self.reached("appending", lambda: _torn(journal._path, event))
            return append(journal, event, **values)

        def watched_fit(
            trainer: Trainer, batches: Any, steps: int, rates: Any, begin: int = 0, update: Any = None
        ) -> float:
            stage = "pre-training"
            if start.exists():
                stage = "mid-term" if rates(0) == SETTINGS.mid_term_learning_rate else "long-term"

            def passed() -> None:
                self.reached(stage if update else "proposal")
                if update:
                    update()

            return fit(trainer, batches, steps, rates, begin, passed)

        @contextmanager
        def watched_transaction(path: Path) -> Iterator[Any]:
            with transaction(path) as database:
                yield database
                self.reached("storing")

        os.replace = watched_replace  # type: ignore[assignment]
        Journal.append = watched_append  # type: ignore[assignment, method-assign]
        Trainer.fit = watched_fit  # type: ignore[assignment, method-assign]
        for module in (table_file, latency_table, unfinished):
            module.transaction = watched_transaction  # type: ignore[attr-defined]


def _torn(journal: Path, event: str) -> None:
    with open(journal, "a") as file:
        file.write(f'{{"event": "{event}", "iterat')


class Meter(FakeMeter):
    """Says which moment is reached."""

    def __init__(self, moments: Moments) -> None:
        super().__init__()
        self._moments = moments

    def time(self, job: Job) -> Reading:
        self._moments.reached("timing")
        return super().time(job)


class Meters:
    def __init__(self, moments: Moments) -> None:
        self._meter = Meter(moments)

    def __enter__(self) -> "Meters":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def of(self, _: object) -> Meter:
        return self._meter


def datasets() -> Datasets:
    """Images whose bright corner tells their class."""

    def part(seed: int) -> tf.data.Dataset:
        generator = np.random.default_rng(seed)
        labels = np.arange(96) % 4
        images = generator.uniform(-1, 0, (96, 8, 8, 3)).astype(np.float32)
        for image, label in zip(images, labels, strict=True):
            image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 1
        return tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)

    return Datasets(
        train=lambda seed: (
            part(0).unbatch().shuffle(96, seed=seed).batch(16).apply(tf.data.experimental.assert_cardinality(6))
        ),
        holdout=part(1),
        test=part(2),
    )


def log_what_is_kept(folder: Path) -> None:
    """A line for each reading and each entry that has been stored."""
    keep, finish = unfinished.Unfinished.keep, latency_table.LatencyTable.finish

    def logged(words: list[str]) -> None:
        with open(folder / "kept.txt", "a") as file:
            file.write("".join(word + "\n" for word in words))

    def watched_keep(self: Any, readings: Any) -> None:
        keep(self, readings)
        logged([f"reading {one.number} of {one.signature}" for one in readings])

    def watched_finish(self: Any, entries: Any, batch: Any) -> None:
        finish(self, entries, batch)
        logged([f"entry {one.signature}" for one in entries])

    unfinished._STORED_EVERY_S = 0.0  # readings of a fake meter take no time
    unfinished.Unfinished.keep = watched_keep  # type: ignore[method-assign]
    latency_table.LatencyTable.finish = watched_finish  # type: ignore[method-assign]


def attempt(folder: Path, moments: Moments) -> None:
    """Calls the adaptation once, in this process."""
    make_repeatable(1)
    log_what_is_kept(folder)
    moments.watch(folder / "run")
    problem.Meters = lambda *_: Meters(moments)  # type: ignore[assignment, misc]
    network = tiny_cnn(dropout=0.5)
    adapt_network(network, datasets(), [BUDGET], folder / "run", settings=SETTINGS, table=folder / "table.sqlite")


def is_killed(folder: Path, kind: str = "", at: int = 0) -> bool:
    """Forks an attempt; whether it was killed. Any other failure ends everything."""
    folder.mkdir(exist_ok=True)
    process = os.fork()
    if not process:
        try:
            attempt(folder, Moments(kind, at))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status:
        sys.exit(f"an attempt in {folder}, to be killed at {kind} {at}, ended with status {status}")
    return False


def main(folder: Path, kills: int, seed: int) -> None:
    generator = random.Random(seed)
    is_killed(folder / "whole")
    kinds = [kind for _ in range(kills) for kind in generator.sample(list(MOMENTS), len(MOMENTS))]
    done: list[tuple[int, str, int]] = []
    run = 0
    for kind in kinds:
        at = generator.randint(1, MOMENTS[kind])
        if len(done) == kills:
            break
        if is_killed(folder / str(run), kind, at):
            done.append((run, kind, at))
        else:
            run += 1
    else:
        sys.exit(f"only {len(done)} kills: {done}")
    while is_killed(folder / str(run)):
        pass
    print(json.dumps(done))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
