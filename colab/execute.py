r"""Runs notebooks and keeps what they print and draw, for readers who do not run them.

All of them, in about half an hour on two busy cores:

  python -m colab.execute

One, after it was changed:

  python -m colab.execute --notebook=latency_tables
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from absl import flags, logging

from colab.notebooks import executed, notebook_names, path_of, read
from tflite_bench.binary import run

_NOTEBOOKS = flags.DEFINE_multi_enum(
    "notebook", notebook_names(), notebook_names(), "Which notebook; repeatable; by default all."
)


def main(_: Sequence[str]) -> None:
    """Runs them one after the other, each in an empty folder."""
    for name in _NOTEBOOKS.value:
        logging.info("Running %s.", name)
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(read(name), Path(folder), smoke=False), path_of(name))


if __name__ == "__main__":
    run(main)
