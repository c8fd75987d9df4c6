"""What to do with a damaged file: it is set aside under another name, never deleted."""

from pathlib import Path


def set_aside(path: Path) -> Path:
    """Renames a file or folder to `NAME.damaged-N`, a name that nothing has yet; returns it."""
    numbers = range(1, 1 + sum(1 for _ in path.parent.iterdir()))
    names = (path.with_name(f"{path.name}.damaged-{number}") for number in numbers)
    aside = next(name for name in names if not name.exists())
    return path.rename(aside)
