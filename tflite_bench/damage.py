"""What to do with a damaged file: it is set aside under another name, never deleted."""

import os
from pathlib import Path


def set_aside(path: Path) -> Path:
    """Renames a file or folder to `NAME.damaged-N`, a name that nothing has yet; returns it."""
    return path.rename(_aside(path))


def linked_aside(path: Path) -> Path:
    """Gives a damaged file such a name besides its own, which a sound one is about to take; returns it."""
    aside = _aside(path)
    os.link(path, aside)
    return aside


def _aside(path: Path) -> Path:
    numbers = range(1, 1 + sum(1 for _ in path.parent.iterdir()))
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in numbers)
    return next(name for name in names if not name.exists())
