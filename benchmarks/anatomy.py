"""Which parts of a network can shrink, and how much of its latency they are."""

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import tf_keras

from benchmarks.rows import RowFile
from netadapt_tf.networks.random_weights import randomise
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.grid import groups_of_layers
from netadapt_tf.resources.latency import Latency
from netadapt_tf.start import start_of
from tflite_bench.convert import convert
from tflite_bench.errors import UserError
from tflite_bench.target import Target
from tflite_bench.timing import Meter

_CLASSES = 1000


@dataclass(frozen=True)
class Anatomy:
    """A network.

    Attributes:
        network: its name in `tf_keras.applications`.
        shrinkable: how many channel groups can shrink.
        locked: how many cannot.
        reasons: why, each once.
        latency_ms: the sum of its layers and one call.
        share: of that sum, the layers whose shapes change with a group that can shrink.
    """

    network: str
    shrinkable: int
    locked: int
    reasons: str
    latency_ms: float
    share: float


class AnatomyFile:
    """The finished rows of one target and resolution, in a CSV file that may hold others'."""

    def __init__(self, path: Path, target: str, resolution: int) -> None:
        """Opens the file, or makes it.

        Raises:
            UserError: the file holds something else, or cannot be written.
        """
        self._key = {"target": target, "resolution": str(resolution)}
        self._file = RowFile(path, [*self._key, *(field.name for field in fields(Anatomy))])

    @property
    def found(self) -> list[Anatomy]:
        """All rows."""
        rows = [row for row in self._file.rows if self._key.items() <= row.items()]
        return [
            Anatomy(
                row["network"],
                int(row["shrinkable"]),
                int(row["locked"]),
                row["reasons"],
                float(row["latency_ms"]),
                float(row["share"]),
            )
            for row in rows
        ]

    @property
    def names(self) -> Collection[str]:
        """The networks that have a row."""
        return {row.network for row in self.found}

    def add(self, row: Anatomy) -> None:
        """Appends a row."""
        self._file.add({**self._key, **asdict(row)})


def anatomy(name: str, resolution: int, target: Target, meter: Meter, table: Path) -> Anatomy:
    """Builds a network with random weights, converts it and measures its layers.

    Raises:
        UserError: `tf_keras.applications` has no such network, or a layer of it cannot be measured.
    """
    build = getattr(tf_keras.applications, name, None)
    if build is None:
        raise UserError(f"tf_keras.applications has no network {name}")
    network = build(weights=None, input_shape=(resolution, resolution, 3), classes=_CLASSES)
    randomise(network)
    start = start_of(network, find_channels(network), convert(network))
    latency = Latency(start.deployed, start.widths, target, meter, table)
    latency.prepare([start.widths])
    changing = groups_of_layers(start.deployed, start.widths)
    layers_ms = [layer_ms for _, layer_ms in latency.by_layer(start.widths)]
    total_ms = math.fsum([latency.call_ms(), *layers_ms])
    if not math.isfinite(total_ms):
        raise UserError(f"a layer of {name} cannot be measured; the warnings above name it")
    return Anatomy(
        network=name,
        shrinkable=len(start.widths),
        locked=len(start.locks),
        reasons="; ".join(dict.fromkeys(start.locks.values())),
        latency_ms=total_ms,
        share=math.fsum(ms for ms, groups in zip(layers_ms, changing, strict=True) if groups) / total_ms,
    )


def anatomy_table(rows: Sequence[Anatomy]) -> str:
    """The rows side by side, in Markdown."""
    lines = [
        "| network | groups that can shrink | locked | why | latency, ms | of it can shrink |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.network} | {row.shrinkable} | {row.locked} | {row.reasons} | {row.latency_ms:.2f} "
            f"| {row.share:.1%} |"
        )
    return "\n".join(lines)
