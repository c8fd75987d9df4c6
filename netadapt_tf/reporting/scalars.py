"""The search as TensorBoard shows it: hold-out metric and costs of every iteration; what is there is not written again.

TensorBoard itself is not needed to write.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import logging
from google.protobuf.message import DecodeError
from tensorflow.core.util.event_pb2 import Event

from netadapt_tf.search.journal import Journal

FOLDER = "tensorboard"


def follow(journal: Journal, folder: Path, metric: str, table_only: bool = False) -> None:
    """Writes scalars of every iteration: those that are recorded, and each that comes.

    A failure is a warning; the search goes on.

    Args:
        journal: of the run.
        folder: where TensorBoard's files are.
        metric: what proposals are ranked by.
        table_only: whether latencies are the table's alone: there is nothing measured to show then.
    """
    shown = {"predicted": "predicted", "constraint": "allowed"} | ({} if table_only else {"measured": "measured"})
    written = set(_written(folder))
    writer = None

    def write(record: Mapping[str, Any]) -> None:
        nonlocal writer
        step = record["iteration"]
        new = {tag: value for tag, value in _scalars(record, metric, shown) if (tag, step) not in written}
        if not new:
            return
        writer = writer or tf.summary.create_file_writer(str(folder))
        with writer.as_default(step):
            for tag, value in new.items():
                tf.summary.write(tag, tf.constant(value, tf.float32), metadata=_scalar_metadata())
        writer.flush()
        written.update((tag, step) for tag in new)

    def on_record(record: Mapping[str, Any]) -> None:
        if record["event"] == "iteration":
            try:
                write(record)
            except (OSError, tf.errors.OpError) as error:
                logging.warning("Iteration %d is not written for TensorBoard: %s", record["iteration"], error)

    journal.follow(on_record)


def _scalars(record: Mapping[str, Any], metric: str, shown: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    yield f"hold-out {metric}", record["accuracy"]
    for kind, title in shown.items():
        for resource, amount in record.get(kind, {}).items():
            if math.isfinite(amount):
                yield f"{resource}/{title}", amount


def _scalar_metadata() -> tf.compat.v1.SummaryMetadata:
    """What tells TensorBoard that a tensor is a scalar."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    return metadata


def _written(folder: Path) -> Iterator[tuple[str, int]]:
    """Tags and steps of the files that are there; one may end in the middle of a record."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        try:
            for raw in tf.data.TFRecordDataset(str(path)):
                event = Event.FromString(raw.numpy())
                yield from ((value.tag, event.step) for value in event.summary.value)
        except (tf.errors.OpError, DecodeError):
            continue
