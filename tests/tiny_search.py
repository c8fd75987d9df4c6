"""A search that takes seconds: a network of two groups that can shrink, and a cost that is counted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tf_keras

from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.resource import Measurement, Resource
from netadapt_tf.search.executors.executor import Bench, Executor, Serial
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.iterate import Iterate
from netadapt_tf.search.netadapt import Search
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.settings import Settings
from netadapt_tf.stopwatch import Stopwatch
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.image_dataset import ImageDataset
from netadapt_tf.training.images import image_set
from netadapt_tf.training.task import Task, classification
from tests.tiny_networks import tiny_cnn

SETTINGS = Settings(
    initial_reduction=0.15,
    reduction_decay=0.9,
    filter_multiple=2,
    short_term_steps=3,
    short_term_learning_rate=0.05,
)
START_WIDTHS = {"first": 8, "second": 12}


def cost(widths) -> int:
    return 27 * widths["first"] + widths["first"] * widths["second"] + 4 * widths["second"]


def corner_images() -> ImageDataset:
    """Four classes told apart by which corner is bright."""
    generator = np.random.default_rng(0)
    labels = np.arange(96) % 4
    images = generator.integers(0, 120, (96, 8, 8, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 120
    everything = image_set(images, labels, 4)
    holdout, train = everything.split(32, seed=0)
    return ImageDataset(train=train, holdout=holdout, full_train=everything, test=holdout)


def corner_datasets() -> Datasets:
    """The same as batches of 16."""
    return corner_images().datasets(16, "tf")


def search(
    path: Path,
    data: Datasets,
    resource: Resource | None = None,
    limit: float = 0.4,
    settings: Settings = SETTINGS,
    task: Task | None = None,
    others: Sequence[Goal] = (),
    network: tf_keras.Model | None = None,
    executor: Executor | None = None,
) -> tuple[Iterate, RunDirectory]:
    """Searches in a run directory; goes on with what is there."""
    resource = resource or Counted("units", cost, START_WIDTHS)
    goals = [Goal("macs", resource, limit * cost(START_WIDTHS)), *others]
    run = RunDirectory(path, {"a": 1}, parse_budgets([f"{goal.name}=40%" for goal in goals]))
    network = network or tiny_cnn()
    costs = {goal.name: at_start(goal.resource) for goal in goals}
    start = Iterate(0, network, find_channels(network), 0.25, costs)
    task = task or classification(start.network)
    executor = executor or Serial(Bench(lambda: data, task, settings))
    search = Search(goals, lambda widths: {"counted": cost(widths)}, data, task, run, settings, Stopwatch(), executor)
    with run.claimed(), executor:
        if not run.has_iteration(0):
            run.save_iteration(0, network, start.channels.widths)
        return search.run(start), run


def at_start(resource: Resource) -> Measurement:
    """The starting network's cost."""
    return Measurement(resource.predict(START_WIDTHS), resource.predict(START_WIDTHS))


def story(run: RunDirectory) -> list[tuple]:
    """What was chosen, and how good it was."""
    return [(r["iteration"], r["picked"], r["filters"], r["accuracy"]) for r in run.journal.events("iteration")]
