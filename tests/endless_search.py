"""A search whose workers do not come to an end: `python -m tests.endless_search EXECUTOR FOLDER`.

Each worker leaves a file in the folder that is called by its process.
"""

import os
import sys
import time
from functools import partial
from pathlib import Path

import tensorflow as tf

from netadapt_tf.search.executors.opening import opened
from netadapt_tf.search.executors.place import Place
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import classification
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import SETTINGS, corner_datasets, search

WORKERS = 2


def endless(folder: Path) -> Datasets:
    """Makes a fine-tune wait for its first batch."""
    data = corner_datasets()

    def train(_: int) -> tf.data.Dataset:
        (folder / str(os.getpid())).touch()
        time.sleep(600)
        raise TimeoutError

    return Datasets(train, data.holdout, data.test)


if __name__ == "__main__":
    _, name, where = sys.argv
    here = corner_datasets()
    place = Place(name, workers=WORKERS)
    executor = opened(place, here, partial(endless, Path(where)), classification(tiny_cnn()), SETTINGS)
    search(Path(where) / "run", here, executor=executor)
