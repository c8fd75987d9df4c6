"""How messages hold what others wrote: foreign text, long lists of names, numbers of things."""

import re
from collections.abc import Sequence
from typing import Any

NAMED = 3
"""How many names of a long list a message holds."""

_LONGEST_SHOWN = 200


def one_line(text: Any, *, whole: bool = False) -> str:
    """Foreign text as part of a sentence, without control characters.

    Args:
        text: the words, or an exception whose words they are.
        whole: all of its lines as one, without the last full stop; else the first, cut where it is too long.
    """
    words = str(text).strip()
    line = " ".join(words.split()).rstrip(".") if whole else (words.splitlines() or [""])[0]
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if whole or len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"


def some(names: Sequence[str], count: int | None = None) -> str:
    """The first names of a list, and how many others there are.

    Args:
        names: the first of the list at least.
        count: how many the list has; those of `names` by default.
    """
    more = (len(names) if count is None else count) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} other{'s' * (more > 1)}" if more > 0 else "")


def counted(count: int, noun: str) -> str:
    """`1 epoch`, `2 epochs`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def keras_words(error: Exception) -> str:
    """The cause in Keras' words, without the configurations and calls that led to it."""
    innermost = re.split(r"Exception encountered(?:: | when calling[^\n]*\n+)", str(error))[-1]
    return one_line(innermost) or type(error).__name__
