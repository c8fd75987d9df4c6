"""Rows of a benchmark, kept in a CSV file the moment they exist, so that an interrupted benchmark goes on."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tflite_bench.errors import UserError
from tflite_bench.whole_file import write_whole

Row = Mapping[str, str]


class RowFile:
    """A CSV file with a header; rows are only ever added."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Opens the file, or makes it.

        Raises:
            UserError: the file has other columns, or cannot be written.
        """
        self._path = path
        self._columns = tuple(columns)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_whole(path, (",".join(columns) + "\n").encode())
            text = path.read_text()
            complete = _complete(text)
            if complete != text:  # an interruption came in the middle of a row
                write_whole(path, complete.encode())
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error}); name another folder with --output") from error
        reader = csv.DictReader(complete.splitlines())
        found = tuple(reader.fieldnames or ())
        self.rows: list[Row] = list(reader)
        if found != self._columns:
            raise UserError(f"{path} holds other columns than this benchmark's; name another folder with --output")

    def add(self, row: Mapping[str, object]) -> None:
        """Appends a row and sees it to the disk."""
        values = {column: _text(row[column]) for column in self._columns}
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns, lineterminator="\n").writerow(values)
            file.flush()
            os.fsync(file.fileno())
        self.rows.append(values)


def finished_rows(path: Path) -> list[Row]:
    """The rows of a file that another process may be adding to; none where there is no such file."""
    return list(csv.DictReader(_complete(path.read_text()).splitlines())) if path.exists() else []


def _complete(text: str) -> str:
    """Without a last line that is not whole."""
    return text[: text.rfind("\n") + 1]


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
