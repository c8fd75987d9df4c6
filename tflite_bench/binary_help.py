"""What `--help` of a binary prints: how it is called, its docstring with examples, its flags by purpose."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

FlagGroups = Mapping[str, Sequence[flags.FlagHolder[Any]]]
"""Flags of a binary by what they are for, in the order of reading."""

_NARROWEST, _WIDEST = 80, 120
_UNBOUNDED = 2**31 - 1
_UNBROKEN = "\N{NO-BREAK SPACE}"
_ABSL_ON_LISTS = re.compile(r";\s+repeat this option to specify a list of values$")

OF_EVERY_BINARY = {
    "help": "Show this text.",
    "helpfull": "Show this text, and the flags of the libraries underneath.",
    "version": "Show the version.",
    "verbosity": "How much is logged: -1 only warnings; 0 what libraries do, too; 1 everything, with what native code "
    "(TensorFlow, XNNPACK) says. By default our own progress, and warnings.",
    "flagfile": "Read flags from this file, one on a line.",
}
"""What every binary understands besides its own flags."""


def help_text(main_module: str, groups: FlagGroups, arguments: str = "", full: bool = False) -> str:
    """The whole text.

    Args:
        main_module: name of the module that holds the binary's `main`; `__main__` where it was started with `-m`.
        groups: the binary's flags; those that stand in no group are shown last.
        arguments: what stands beside the flags.
        full: whether to add the flags of libraries.
    """
    shown = {title: [flags.FLAGS[holder.name] for holder in holders] for title, holders in groups.items()}
    grouped = {flag.name for members in shown.values() for flag in members}
    own = own_flags(main_module)
    shown["Other flags" if shown else "Flags"] = [flag for flag in own if flag.name not in grouped]
    program = _program(main_module)
    sections = [
        textwrap.fill(
            " ".join(
                [
                    f"Usage: {program}",
                    *([arguments] if arguments else []),
                    *(f"--{name}=..." for name in required_flags(own)),
                    "[--flag=value ...]",
                ]
            ),
            _width(),
            subsequent_indent="    ",
            break_on_hyphens=False,
        ),
        *_paragraphs((sys.modules[main_module].__doc__ or "").replace(_by_module(main_module), program)),
    ]
    sections += [_section(title, [_entry(flag) for flag in members]) for title, members in shown.items() if members]
    sections.append(_section("Every binary", [(f"--{name}", text) for name, text in OF_EVERY_BINARY.items()]))
    if full:
        sections += [
            _section(module, [_entry(flag) for flag in members])
            for module, members in sorted(flags.FLAGS.flags_by_module_dict().items())
            if module != _registered(main_module)
        ]
    return "\n\n".join(sections)


def own_flags(main_module: str) -> Sequence[flags.Flag]:
    """The flags that a binary's module declares, in its order."""
    return flags.FLAGS.flags_by_module_dict().get(_registered(main_module), [])


def required_flags(own: Sequence[flags.Flag]) -> Iterator[str]:
    """Names of those that have to be given: absl lets None pass for all others."""
    for flag in own:
        if flag.value is not None:
            continue
        try:
            for validator in flag.validators:
                validator.verify(flags.FLAGS)
        except flags.ValidationError:
            yield flag.name


def _registered(main_module: str) -> str:
    """The name under which absl keeps the flags of a module."""
    return sys.argv[0] if main_module == "__main__" else main_module


def _program(main_module: str) -> str:
    """How the binary was called, so that the examples can be typed as they stand."""
    if getattr(sys.modules["__main__"], "__spec__", None) is not None:
        return _by_module(main_module)
    return Path(sys.argv[0]).name


def _by_module(main_module: str) -> str:
    spec = sys.modules[main_module].__spec__
    return f"python -m {spec.name if spec else main_module}"


def _paragraphs(text: str) -> Iterator[str]:
    """Those of a docstring, as wide as the terminal; what is indented, such as an example, stays as it is."""
    for paragraph in text.strip("\n").split("\n\n"):
        indented = any(line.startswith(" ") for line in paragraph.splitlines())
        yield paragraph.rstrip() if indented else textwrap.fill(paragraph, _width(), break_on_hyphens=False)


def _section(title: str, entries: Sequence[tuple[str, str]]) -> str:
    indent = max(len(name) for name, _ in entries) + 4
    lines = [f"{title}:"]
    for name, text in entries:
        lines += textwrap.wrap(
            text,
            _width(),
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
    return "\n".join(lines).replace(_UNBROKEN, " ")


def _entry(flag: flags.Flag) -> tuple[str, str]:
    text = _ABSL_ON_LISTS.sub("", " ".join((flag.help or "").split()))
    facts = "; ".join(_facts(flag)).replace(" ", _UNBROKEN)
    return f"--{flag.name}", f"{text} [{facts}]" if facts else text


def _facts(flag: flags.Flag) -> Iterator[str]:
    """What the declaration says besides its text."""
    if list(required_flags([flag])):
        yield "required"
    lower, upper = (getattr(flag.parser, f"{side}_bound", None) for side in ("lower", "upper"))
    if upper is not None and upper < _UNBOUNDED:
        yield f"{lower:g} to {upper:g}" if lower is not None else f"at most {upper:g}"
    elif lower is not None and lower > 1:
        yield f"at least {lower:g}"
    if flag.default is not False and flag.default not in (None, "", []):
        yield f"default: {flag.default}"


def _width() -> int:
    return min(max(shutil.get_terminal_size((_WIDEST, 0)).columns, _NARROWEST), _WIDEST)
