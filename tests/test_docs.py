"""That docs/messages.md has every message that a user can see, and none that is no more."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import netadapt_tf
import tflite_bench

PACKAGES = [Path(package.__path__[0]) for package in (netadapt_tf, tflite_bench)]
PAGE = PACKAGES[0].parent / "docs" / "messages.md"

CALLS = {
    "UserError": 0,
    "InvalidModelError": 0,
    "MeasurementError": 0,
    "AdbError": 0,
    "TimeoutError": 0,
    "logging.warning": 0,
    "_say": 0,
    "CannotFollowError": 0,
    "UnsupportedLayerError": 0,
    "trace.lock": 1,
    "self.lock": 1,
}
"""Which calls say something to users, and which of their arguments it is; the last four say why a layer is locked.

ValueErrors are left out: ours are reasons inside another message, behind its colon (a weights file, an imported table),
or defects. So is `logging.info`, which tells how a run goes on and wants nothing.
"""

ANYTHING = "…"
_DISTINCTIVE = 12
_PLACEHOLDER = re.compile(r"%(?:\.\d+)?[sdfg]")


def template(text: ast.AST) -> str:
    """A message as the page writes it: `…` for what differs; nothing else where it has no words of its own."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return _PLACEHOLDER.sub(ANYTHING, text.value).replace("%%", "%").replace("`", "")
    if isinstance(text, ast.JoinedStr):
        return "".join(template(part) if isinstance(part, ast.Constant) else ANYTHING for part in text.values)
    return ANYTHING


def said(path: Path) -> Iterator[tuple[str, str]]:
    """Place and template of every message in a file that has words of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and (position := CALLS.get(ast.unparse(node.func), -1)) in range(len(node.args)):
            message = template(node.args[position])
            if letters(message):
                yield f"{path.parent.name}/{path.name}:{node.lineno}", message


def texts(path: Path) -> Iterator[str]:
    """Every text in a file but for docstrings: messages may be put together before they are raised."""
    tree = ast.parse(path.read_text())
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return (template(node) for node in ast.walk(tree) if node not in docstrings)


def letters(text: str) -> int:
    return sum(character.isalpha() for character in text)


def quoted_on_the_page() -> list[str]:
    """The first column of all tables of messages."""
    rows = re.findall(r"^\| (`.*?) \| .* \| .* \|$", PAGE.read_text(), re.MULTILINE)
    return [quoted for row in rows for quoted in re.findall(r"`([^`]+)`", row)]


def fits(quoted: str, message: str) -> bool:
    """Whether the page's words are a message's: a part of it, or all where they are too few to tell it from others."""
    pattern = re.compile(".*".join(re.escape(words) for words in quoted.split(ANYTHING)), re.DOTALL)
    if letters(quoted) < _DISTINCTIVE:
        return quoted == message
    return pattern.search(message) is not None


FILES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
MESSAGES = dict(message for path in FILES for message in said(path))
TEXTS = {text for path in FILES for text in texts(path)}
QUOTED = quoted_on_the_page()


def test_messages_and_the_page_are_found():
    assert len(MESSAGES) > 250
    assert len(QUOTED) > 200


@pytest.mark.parametrize("place", MESSAGES)
def test_every_message_is_on_the_page(place):
    assert any(fits(quoted, MESSAGES[place]) for quoted in QUOTED), MESSAGES[place]


@pytest.mark.parametrize("quoted", QUOTED)
def test_everything_on_the_page_is_still_said(quoted):
    assert any(fits(quoted, text) for text in TEXTS)


def test_no_message_is_quoted_twice():
    assert sorted(QUOTED) == sorted(set(QUOTED))
