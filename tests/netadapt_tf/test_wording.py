import numpy as np
import pytest

from netadapt_tf.wording import counted, one_line, some


def test_foreign_text_stays_one_readable_line():
    assert one_line("first\nsecond") == "first"
    assert "\x1b" not in one_line("\x1b[2Jgone")
    assert len(one_line("x" * 10_000)) < 300
    assert one_line(np.float32(0.5)) == "0.5"
    assert one_line("") == ""


def test_a_whole_text_becomes_one_line_of_a_sentence():
    assert one_line(ConnectionError("no route\n  to host.\n"), whole=True) == "no route to host"
    assert "\x1b" not in one_line("\x1b[2Jgone", whole=True)
    assert one_line("x" * 10_000, whole=True) == "x" * 10_000


@pytest.mark.parametrize(
    ("names", "count", "text"),
    [
        ("ab", None, "a, b"),
        ("abc", None, "a, b, c"),
        ("abcd", None, "a, b, c and 1 other"),
        ("abcde", None, "a, b, c and 2 others"),
        ("abc", 5, "a, b, c and 2 others"),
    ],
)
def test_of_many_names_three_are_shown(names, count, text):
    assert some(names, count) == text


def test_one_thing_is_no_more_than_one():
    assert [counted(number, "epoch") for number in (0, 1, 2)] == ["0 epochs", "1 epoch", "2 epochs"]
