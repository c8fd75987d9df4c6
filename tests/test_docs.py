"""That docs/messages.md has every message of measuring and of the choices, and none that is no more."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import netadapt_tf
import tflite_bench

MEASURING = Path(tflite_bench.__path__[0])
ADAPTING = Path(netadapt_tf.__path__[0])
PAGE = MEASURING.parent / "docs" / "messages.md"

ERRORS = {"UserError", "MeasurementError"}
WARNINGS = {"logging.warning"}
CALLS = {
    **{
        MEASURING / f"{name}.py": ERRORS | WARNINGS
        for name in (
            *("adb", "android", "phone_facts", "phone_script", "benchmark_model", "benchmark_output"),
            *(
                "operator_profile",
                "places",
                "tool_meter",
                "tool_protobufs",
                "meters",
                "host_runner",
                "layer_times",
                "locking",
                "phone_setup",
                "phone_folder",
            ),
            *("table_filling", "profile_filling", "drift", "model_profile", "profile_model"),
            *("latency_table", "table_file", "table_text", "show_table", "target"),
        )
    },
    ADAPTING / "resources" / "latency.py": ERRORS | WARNINGS,
    ADAPTING / "resources" / "tabled_latency.py": ERRORS | WARNINGS,
    ADAPTING / "fill_table.py": ERRORS | WARNINGS,
    ADAPTING / "settings.py": ERRORS | WARNINGS,
    ADAPTING / "problem.py": ERRORS | WARNINGS,
    ADAPTING / "networks" / "locks.py": ERRORS | WARNINGS,
    ADAPTING / "search" / "filter_scores.py": ERRORS | WARNINGS,
    ADAPTING / "devices.py": ERRORS | WARNINGS,
    ADAPTING / "estimates.py": ERRORS | WARNINGS,
    ADAPTING / "delivery.py": ERRORS | WARNINGS,
    ADAPTING / "filling.py": ERRORS | WARNINGS,
    ADAPTING / "adaptation.py": WARNINGS,
}
"""Which calls say something to users of phones, or about what they choose, by file."""

ANYTHING = "…"
_DISTINCTIVE = 12
_PLACEHOLDER = re.compile(r"%(?:\.\d+)?[sdfg]")


def template(text: ast.AST) -> str:
    """A message as the page writes it: `…` for what differs; nothing else where it has no words of its own."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return _PLACEHOLDER.sub(ANYTHING, text.value).replace("%%", "%")
    if isinstance(text, ast.JoinedStr):
        return "".join(template(part) if isinstance(part, ast.Constant) else ANYTHING for part in text.values)
    return ANYTHING


def said(path: Path) -> Iterator[tuple[str, str]]:
    """Place and template of every message in a file that has words of its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS[path]:
            message = template(node.args[0])
            if letters(message):
                yield f"{path.name}:{node.lineno}", message


def texts(path: Path) -> Iterator[str]:
    """Every text in a file but for docstrings: messages may be put together before they are raised."""
    tree = ast.parse(path.read_text())
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return (template(node) for node in ast.walk(tree) if node not in docstrings)


def letters(text: str) -> int:
    return sum(character.isalpha() for character in text)


def quoted_on_the_page() -> list[str]:
    """The first column of all tables."""
    rows = re.findall(r"^\| (`.*?) \| .* \| .* \|$", PAGE.read_text(), re.MULTILINE)
    return [quoted for row in rows for quoted in re.findall(r"`([^`]+)`", row)]


def fits(quoted: str, message: str) -> bool:
    """Whether the page's words are a message's: a part of it, or all where they are too few to tell it from others."""
    pattern = re.compile(".*".join(re.escape(words) for words in quoted.split(ANYTHING)), re.DOTALL)
    if letters(quoted) < _DISTINCTIVE:
        return quoted == message
    return pattern.search(message) is not None


MESSAGES = dict(message for path in CALLS for message in said(path))
TEXTS = {text for path in CALLS for text in texts(path)}
QUOTED = quoted_on_the_page()


def test_messages_and_the_page_are_found():
    assert len(MESSAGES) > 70
    assert len(QUOTED) > 60


@pytest.mark.parametrize("place", MESSAGES)
def test_every_message_is_on_the_page(place):
    assert any(fits(quoted, MESSAGES[place]) for quoted in QUOTED), MESSAGES[place]


@pytest.mark.parametrize("quoted", QUOTED)
def test_everything_on_the_page_is_still_said(quoted):
    assert any(fits(quoted, text) for text in TEXTS)
