"""What a stage of training has come to, in one file: an interrupted stage goes on from there."""

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from absl import logging

from netadapt_tf.training.trainer import TrainingState
from tflite_bench.damage import set_aside

Write = Callable[[bytes], None]
"""Writes a file's content, whole or not at all."""

Stage = Mapping[str, Any]
"""What a stage was asked to do, and with which network: texts and numbers."""


@dataclass(frozen=True)
class Finished:
    """Where a stage of training stands.

    Attributes:
        epochs: how many are finished.
        state: what the next epoch goes on from.
    """

    epochs: int
    state: TrainingState


@dataclass(frozen=True)
class Checkpoint:
    """One file for one stage; it is read only for the stage that it was written for.

    An `.npz`, whose checksums tell damage.

    Attributes:
        path: of the file.
        write: writes its content, whole or not at all.
    """

    path: Path
    write: Write

    def keep(self, stage: Stage, finished: Finished) -> None:
        """Takes the place of what an earlier epoch has kept.

        Args:
            stage: what the stage was asked to do, and with which network.
            finished: after its last finished epoch.
        """
        self.write(packed({**stage, "finished_epochs": finished.epochs}, finished.state))

    def finished(self, stage: Stage) -> Finished | None:
        """How far the stage has come; None where nothing is kept of it. A damaged file is set aside.

        Args:
            stage: as in `keep`; a file of any other stage does not count.
        """
        if not self.path.exists():
            return None
        try:
            kept, state = unpacked(self.path.read_bytes())
            epochs = kept.pop("finished_epochs")
        except (OSError, ValueError, KeyError, EOFError, AttributeError, BadZipFile, zlib.error) as error:
            aside = set_aside(self.path)
            logging.warning(
                "%s is damaged (%s); it is set aside as %s, and what it held is trained anew.",
                self.path,
                error,
                aside.name,
            )
            return None
        return Finished(epochs, state) if kept == dict(stage) else None

    def discard(self) -> None:
        """Forgets it, now that what the stage came to is kept elsewhere."""
        self.path.unlink(missing_ok=True)


def packed(about: Mapping[str, Any], state: TrainingState) -> bytes:
    """A state, and what else is to be known of it, as the content of an `.npz`.

    Args:
        about: of JSON values.
        state: of a training.
    """
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, about=np.array(json.dumps(dict(about))), **_named(state))
    return content.getvalue()


def unpacked(content: bytes) -> tuple[dict[str, Any], TrainingState]:
    """The other way round; damage raises one of several errors."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(str(arrays.pop("about"))), _state(arrays)


def _named(state: TrainingState) -> dict[str, np.ndarray]:
    """Its arrays by kind and number."""
    return {
        f"{kind.name}_{number}": array
        for kind in fields(state)
        for number, array in enumerate(getattr(state, kind.name))
    }


def _state(arrays: Mapping[str, np.ndarray]) -> TrainingState:
    """The other way round; arrays of a kind are in order."""
    return TrainingState(
        **{
            kind.name: [array for name, array in arrays.items() if name.rpartition("_")[0] == kind.name]
            for kind in fields(TrainingState)
        }
    )


def digest_of(arrays: Sequence[np.ndarray]) -> str:
    """A digest of a network's weights, by which a stage knows whether it began from them."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str((array.dtype, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
