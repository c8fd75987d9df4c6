"""Latency tables as text: CSV, each section headed by its provenance, to carry a table from where it was measured.

# netadapt_tf latency table, format 1
# target: android/cpu:1
# fingerprint: {"android": "10", "model": "Google Pixel 3", ...}
# caches: up to 32 instances, of 8388608 bytes of weights and 262144 of outputs
# statistic: median of 3 passes, each the median of one start of the tool
signature,latency_ms,p5_ms,p95_ms,runs,reference_ms,drift,flagged,measured_at
"CONV_2D float32[1,224,224,3] ...",0.41,0.4,0.43,150,0.62,0.011,0,2026-11-24T10:00:00+00:00
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from absl import logging

from tflite_bench.errors import UserError
from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.timing import Reading
from tflite_bench.whole_file import write_whole

_TITLE = "# netadapt_tf latency table, format 1"
_HEADINGS = ("target", "fingerprint", "caches", "statistic")
_HEAD = 1 + len(_HEADINGS) + 1
"""Lines above the entries."""
_COLUMNS = ("signature", "latency_ms", "p5_ms", "p95_ms", "runs", "reference_ms", "drift", "flagged", "measured_at")


def export_tables(tables: Iterable[tuple[Context, Sequence[Entry]]], path: Path) -> None:
    """Writes tables as text, whole or not at all.

    Args:
        tables: contexts and their entries.
        path: of the file; replaced where it exists.

    Raises:
        OSError: it cannot be written.
    """
    text = io.StringIO()
    for context, entries in tables:
        headings = [f"# {name}: {value}" for name, value in zip(_HEADINGS, context.key(), strict=True)]
        text.write("\n".join([_TITLE, *headings, ""]))
        text.write(",".join(_COLUMNS) + "\n")
        writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        for entry in entries:
            reading = (entry.reading.latency_ms, entry.reading.p5_ms, entry.reading.p95_ms, entry.reading.runs)
            provenance = (entry.reference_ms, entry.drift, int(entry.flagged), entry.measured_at)
            writer.writerow([entry.signature, *reading, *provenance])
    write_whole(path, text.getvalue().encode())


def import_tables(path: Path, table: Path) -> list[tuple[Context, int]]:
    """Takes the entries of a text into a table; of two of the same layer the newer stays.

    Entries with bytes that are no text are left out, and so are all below a heading with such bytes; a warning names
    the lines. The file stays as it is.

    Args:
        path: a file that `export_tables` wrote.
        table: file of the latency table.

    Returns:
        Each context and how many entries were taken over.

    Raises:
        UserError: the text is no such table; nothing is taken over then.
    """
    try:
        text = path.read_bytes().decode(errors="surrogateescape")
        sections, left_out = _sections(list(io.StringIO(text)))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is no exported latency table: {error}") from error
    if left_out:
        logging.warning(
            "%s holds bytes that are no text: left out are %s; the rest is taken over.", path, "; ".join(left_out)
        )
    taken = []
    for context, entries in sections:
        there = LatencyTable(table, context)
        measured_at = {entry.signature: entry.measured_at for entry in there.entries()}
        newer = [entry for entry in entries if entry.measured_at > measured_at.get(entry.signature, "")]
        there.add(newer)
        taken.append((context, len(newer)))
    return taken


def _sections(lines: Sequence[str]) -> tuple[list[tuple[Context, list[Entry]]], list[str]]:
    """Contexts with their entries; and which lines hold what is no text, in words."""
    begins = [number for number, line in enumerate(lines) if line.rstrip("\r\n") == _TITLE]
    if not begins or begins[0]:
        raise ValueError(f"its first line should read {_TITLE!r}")
    if not lines[-1].endswith("\n"):
        raise ValueError(f"line {len(lines)} has no end; the file is cut short")
    sections, left_out = [], []
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        if all(map(_is_text, lines[begin : begin + _HEAD])):
            context, entries, of_entries = _section(lines[begin:end], begin + 1)
            sections.append((context, entries))
            left_out += of_entries
        else:
            left_out.append(_lines(begin + 1, end))
    if not sections:
        raise ValueError(f"{left_out[0]}: a heading holds bytes that are no text")
    return sections, left_out


def _section(lines: Sequence[str], first_line: int) -> tuple[Context, list[Entry], list[str]]:
    heading: list[str] = []
    for name, line in zip(_HEADINGS, lines[1:], strict=False):
        if not line.startswith(f"# {name}: "):
            raise ValueError(f"line {first_line + 1 + len(heading)} should begin with '# {name}: '")
        heading.append(line.rstrip("\r\n").removeprefix(f"# {name}: "))
    reader = csv.reader(lines[1 + len(_HEADINGS) :])
    if len(heading) < len(_HEADINGS) or tuple(next(reader, ())) != _COLUMNS:
        raise ValueError(f"below its headings should stand {','.join(_COLUMNS)}")
    try:
        fingerprint = json.loads(heading[1])
    except (ValueError, RecursionError):
        fingerprint = None
    if not isinstance(fingerprint, dict):
        raise ValueError(f"line {first_line + 2}: the fingerprint should be a JSON object")
    entries, left_out = [], []
    above = first_line + len(_HEADINGS)
    before = reader.line_num
    try:
        for row in reader:
            if all(map(_is_text, row)):
                entries.append(_entry(row))
            elif row[0].startswith("# "):
                raise ValueError("a heading holds bytes that are no text")
            else:
                left_out.append(_lines(above + before + 1, above + reader.line_num))
            before = reader.line_num
    except (ValueError, OverflowError, csv.Error) as error:
        raise ValueError(f"line {above + reader.line_num}: {error}") from error
    return Context(heading[0], fingerprint, heading[2], heading[3]), entries, left_out


def _is_text(decoded: str) -> bool:
    """Whether none of it stands for bytes that could not be decoded."""
    return not any("\udc80" <= character <= "\udcff" for character in decoded)


def _lines(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _entry(row: Sequence[str]) -> Entry:
    if len(row) != len(_COLUMNS):
        raise ValueError(f"there should be {len(_COLUMNS)} columns")
    signature, latency_ms, p5_ms, p95_ms, runs, reference_ms, drift, flagged, measured_at = row
    numbers = [float(text) for text in (latency_ms, p5_ms, p95_ms, reference_ms, drift)]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError("milliseconds should be finite and not negative")
    if not 1 <= int(runs) < 2**31:
        raise ValueError(f"there cannot be {runs} runs")
    if flagged not in ("0", "1"):
        raise ValueError(f"an entry is flagged (1) or not (0), not {flagged}")
    reading = Reading(numbers[0], numbers[1], numbers[2], int(runs))
    in_utc = datetime.fromisoformat(measured_at).astimezone(UTC)
    return Entry(signature, reading, numbers[3], numbers[4], flagged == "1", in_utc.isoformat(timespec="seconds"))
