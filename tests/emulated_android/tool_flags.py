"""Command line flags as TensorFlow Lite's tools define, parse, log and explain them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = bool | int | float | str


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: without the dashes.
        default: its value when it is not given; its type is the flag's.
        usage: the explanation in `--help`.
        label: what it is called where the log lists parameters; empty: not listed.
    """

    name: str
    default: Value
    usage: str
    label: str = ""

    @property
    def type_name(self) -> str:
        """The type as `--help` shows it."""
        return {bool: "bool", int: "int32", float: "float", str: "string"}[type(self.default)]

    def parse(self, text: str) -> Value:
        """The value that a text stands for.

        Raises:
            ValueError: it stands for none.
        """
        if isinstance(self.default, bool):
            if text.lower() not in ("true", "false", "1", "0"):
                raise ValueError(text)
            return text.lower() in ("true", "1")
        return type(self.default)(text)


class UsageError(Exception):
    """`--help` was given, or a flag that cannot be parsed; its message is what the tool prints after `ERROR: `."""


@dataclass(frozen=True)
class ParsedFlags:
    """A command line.

    Attributes:
        values: by name, defaults included.
        given: names of the flags that were on the command line.
        unknown: words that no flag took.
    """

    values: Mapping[str, Value]
    given: frozenset[str]
    unknown: Sequence[str]

    def text(self, name: str) -> str:
        return str(self.values[name])

    def integer(self, name: str) -> int:
        return int(self.values[name])

    def seconds(self, name: str) -> float:
        return float(self.values[name])

    def on(self, name: str) -> bool:
        """Whether a flag that this build may not have is on."""
        return bool(self.values.get(name, False))


def parse(flags: Sequence[Flag], argv: Sequence[str]) -> ParsedFlags:
    """Reads a command line.

    Args:
        flags: those of this build of the tool.
        argv: the words, the program's name first.

    Raises:
        UsageError: the tool can only explain itself.
    """
    values = {flag.name: flag.default for flag in flags}
    known = {flag.name: flag for flag in flags}
    given, unknown, failures = set(), [], []
    for word in argv[1:]:
        name, has_value, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name not in known or not (has_value or known[name].default is False):
            unknown.append(word)
            continue
        try:
            values[name] = known[name].parse(text if has_value else "true")
            given.add(name)
        except ValueError:
            failures.append(f"Failed to parse flag '{name}' against argv '{word}'")
    if failures:
        raise UsageError("\nERROR: ".join([*failures, _usage(flags)]))
    if values.get("help"):
        raise UsageError(_usage(flags))
    return ParsedFlags(values, frozenset(given), unknown)


def shown(value: Value) -> str:
    """A value as C++ prints it."""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _usage(flags: Sequence[Flag]) -> str:
    starts = [f"--{flag.name}={_default(flag.default)}" for flag in flags]
    width = max(map(len, starts))
    lines = [
        f"\t{start:{width}}\t{flag.type_name}\toptional\t{flag.usage}"
        for start, flag in zip(starts, flags, strict=True)
    ]
    return "\n".join(["usage: benchmark_model <flags>", "Flags:", *lines]) + "\n"


def _default(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else shown(value)
