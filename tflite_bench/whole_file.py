"""Files that are written whole or not at all: under another name first, brought to the disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Inside, a file is written under another name beside its own; afterwards it has its own, and is on the disk.

    Whatever fails inside, or interrupts, the file is what it was, and nothing else is left. A kill leaves the other
    name, which begins with a dot and counts for nothing; the next writer of the file takes it.

    Args:
        path: of the file; replaced where it exists.

    Yields:
        The path to write to, with the suffix of the file; nothing is there.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        partial.unlink(missing_ok=True)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, see `replacing`.

    Args:
        path: of the file; replaced where it exists.
        content: all of it.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(content)
