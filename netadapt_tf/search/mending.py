"""Damage in a run directory: what it is told by, and how a run goes on from what is sound.

One rule makes it safe: the journal is only ever cut to a beginning of itself. Every record was written after the files
that it is about, so each beginning is a state that the run once was in, and what is cut off is done again. Whatever is
damaged, or rests on it, is set aside under another name and stays there.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from netadapt_tf.search.journal import Journal
from tflite_bench.damage import set_aside


def mend(path: Path, journal: Journal) -> None:
    """Sets aside what is damaged in a run directory, so that the run goes on from what is sound; says what it does.

    Args:
        path: of the run directory, which no other process works in.
        journal: of the run.
    """
    if damage := journal.damage:
        count = len(list(journal.events()))
        aside = _go_back(path, journal, count)
        logging.warning(
            "%s is damaged (%s); it is set aside as %s, and the run goes on from the %d records before the damage.",
            path / "journal.jsonl",
            damage,
            aside.name,
            count,
        )
    summary = path / "summary.json"
    if summary.exists() and read_summary(summary) is None:
        aside = set_aside(summary)
        logging.warning("%s is damaged; it is set aside as %s, and written anew.", summary, aside.name)
    elif summary.exists() and not is_as_delivered(path, read_summary(summary) or {}):
        set_aside(summary)
        aside = set_aside(path / "adapted.tflite")
        logging.warning(
            "%s is damaged; it is set aside as %s, and delivered again.", path / "adapted.tflite", aside.name
        )
    _mend_start(path, journal)
    _mend_iterations(path, journal)
    _mend_adapted(path, journal)
    _set_later_aside(path, journal, 1)  # the next iteration may have been written, and not recorded


def read_summary(path: Path) -> dict[str, Any] | None:
    """What `summary.json` holds; None where it is damaged."""
    try:
        summary = json.loads(path.read_text())
        is_one = (
            all(isinstance(row["budget"], str) for row in summary["budgets"])
            and isinstance(summary["iterations"], int)
            and isinstance(summary.get("sha256", {}), dict)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if is_one else None


def is_as_delivered(path: Path, summary: Mapping[str, Any]) -> bool:
    """Whether `adapted.tflite` is the one that a summary is about; so it is where one of both cannot tell."""
    expected, found = summary.get("sha256", {}).get("adapted.tflite"), digest_of_file(path / "adapted.tflite")
    return not expected or not found or expected == found


def digest_of_file(path: Path) -> str:
    """SHA-256; empty where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def is_sound_iteration(folder: Path) -> bool:
    """Whether the network of an iteration is there and as it was written; its widths can be written anew."""
    return is_sound_network(folder / "network.keras")


def is_sound_network(path: Path) -> bool:
    """Whether a `.keras` file, an archive, is whole: the checksum of every part is right."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return False


def _mend_start(path: Path, journal: Journal) -> None:
    """Without the starting network nothing of a run can be vouched for."""
    folder = path / "iterations" / "000"
    if is_sound_iteration(folder) or not list(journal.events("iteration")):  # perhaps it was being written
        return
    for name in ("start.tflite", "adapted.keras", "adapted.tflite", "summary.json"):
        if (path / name).exists():
            set_aside(path / name)
    aside = _go_back(path, journal, 0)
    if folder.exists():  # last: until now a kill leaves what is found again
        set_aside(folder)
    logging.warning(
        "%s, the starting network, is damaged; the run begins anew, and what it had found is set aside, its journal as "
        "%s.",
        folder,
        aside.name,
    )


def _mend_iterations(path: Path, journal: Journal) -> None:
    """Goes back to the last iteration whose network is sound; its successor's proposals need not be made again."""
    while (last := _last(journal, "iteration")) is not None:
        count, record = last
        folder = path / "iterations" / f"{record['iteration']:03d}"
        if record["iteration"] == 0 or is_sound_iteration(folder):
            return
        aside = _go_back(path, journal, count)
        logging.warning(
            "%s is damaged; it is set aside, the journal as %s, and the search goes back to iteration %d.",
            folder,
            aside.name,
            record["iteration"] - 1,
        )


def _mend_adapted(path: Path, journal: Journal) -> None:
    """The last stage is done again where its network is damaged."""
    last, network = _last(journal, "long_term"), path / "adapted.keras"
    if last is None or not network.exists() or is_sound_network(network):
        return
    aside = _go_back(path, journal, last[0])
    moved = set_aside(network)
    logging.warning(
        "%s is damaged; it is set aside as %s, the journal as %s, and the last stage is done again.",
        network,
        moved.name,
        aside.name,
    )


def _go_back(path: Path, journal: Journal, count: int) -> Path:
    """Cuts the journal to its first records, and sets the networks of iterations aside that are in none of these."""
    aside = journal.cut(count)
    _set_later_aside(path, journal, 0)
    return aside


def _set_later_aside(path: Path, journal: Journal, more: int) -> None:
    """Sets the networks of iterations aside that come so many after the last record, and later ones."""
    reached = max((record["iteration"] for record in journal.events("iteration")), default=0)
    for folder in _later(path / "iterations", reached + more):
        set_aside(folder)


def _later(iterations: Path, reached: int) -> Sequence[Path]:
    if not iterations.exists():
        return ()
    return sorted(folder for folder in iterations.iterdir() if folder.name.isdecimal() and int(folder.name) > reached)


def _last(journal: Journal, event: str) -> tuple[int, dict[str, Any]] | None:
    """The newest record of a kind, and how many records stand before it."""
    records = [(number, record) for number, record in enumerate(journal.events()) if record["event"] == event]
    return records[-1] if records else None
