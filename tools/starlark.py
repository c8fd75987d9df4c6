"""Rules as BUILD files write them, laid out as buildifier does."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

_INDENT = "    "


@dataclass(frozen=True)
class Glob:
    """The files of a package that fit one of some patterns, and none of others."""

    patterns: Sequence[str]
    exclude: Sequence[str] = ()


Value = str | bool | Glob | Sequence[str | Glob]


def rule(kind: str, **attributes: Value) -> str:
    """A rule or another call, without what is empty: `[]`, `""` or `False`.

    A list may hold globs; it is written as a sum then.
    """
    given = {key: value for key, value in attributes.items() if value}
    return "\n".join([f"{kind}(", *(f"{_INDENT}{key} = {_value(value)}," for key, value in given.items()), ")"]) + "\n"


def load(file: str, names: Collection[str]) -> str:
    """Brings names from one file into another; nothing where there are none."""
    return f"load({', '.join(map(_text, [file, *sorted(names)]))})\n" if names else ""


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Glob):
        return f"glob({_list(value.patterns)}{f', exclude = {_list(value.exclude)}' if value.exclude else ''})"
    texts = [item for item in value if isinstance(item, str)]
    return " + ".join([*(_value(item) for item in value if isinstance(item, Glob)), *([_list(texts)] if texts else [])])


def _list(items: Sequence[str]) -> str:
    if len(items) == 1:
        return f"[{_text(items[0])}]"
    return "\n".join(["[", *(f"{_INDENT * 2}{_text(item)}," for item in items), f"{_INDENT}]"])


def _text(text: str) -> str:
    return f'"{text}"'
