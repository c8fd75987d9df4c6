import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap

import pytest
from tqdm import tqdm

from tflite_bench import progress as module
from tflite_bench.progress import progress

HERE = {"PYTHONPATH": "."}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def lines(monkeypatch, capsys):
    """What is logged, at the seconds that `clock[0]` says; standard error is no terminal."""
    said, clock = [], [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module.logging, "info", lambda text, *values: said.append(text % values))
    return said, clock


def test_without_a_terminal_there_are_lines_and_no_bar(lines, capsys):
    said, clock = lines
    with progress("measuring layers", 10) as bar:
        for clock[0] in (5.0, 14.0, 20.0, 49.0, 50.0):
            bar.update()
    assert said == ["measuring layers: 3 of 10, about 00:52 left", "measuring layers: 5 of 10, about 00:56 left"]
    assert capsys.readouterr().err == ""


def test_long_waits_have_fewer_lines(lines):
    said, clock = lines
    with progress("measuring layers", 1000) as bar:
        for clock[0] in range(0, 36000, 36):
            bar.update()
    assert 20 < len(said) < 60


def test_lines_count_what_is_set_from_outside(lines):
    said, clock = lines
    with progress("reading images", 10) as bar:
        clock[0] = 20.0
        bar.n += 5
        bar.refresh()
    assert said == ["reading images: 5 of 10"]


@pytest.mark.parametrize(("steps", "at_s"), [(1, 600.0), (90, 1.0)])
def test_what_comes_first_says_nothing_of_the_time_left(lines, steps, at_s):
    said, clock = lines
    with progress("training", 100) as bar:
        clock[0] = at_s
        bar.update(steps)
        said.clear()
        clock[0] = at_s + 100.0
        bar.update(5)
    assert said[0].endswith(f"about {tqdm.format_interval(20.0 * (95 - steps))} left")


@pytest.mark.parametrize("total", [0, 1])
def test_nothing_is_said_of_what_is_done_or_was_nothing(lines, total):
    said, clock = lines
    with progress("reading images", total) as bar:
        clock[0] = 100.0
        bar.update()
    assert not said


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("measuring layers", 4) as bar:
        bar.update(2)
        bar.refresh()
        assert bar.n == 2
    assert "measuring layers:  50%" in terminal.getvalue()


def test_on_a_terminal_nothing_is_drawn_of_no_steps(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("", 0) as bar:
        bar.update()
    assert terminal.getvalue() == ""


BINARY = """
    '''Works and talks.'''
    from absl import logging
    from tflite_bench.binary import run
    from tflite_bench.progress import progress

    def main(argv):
        with progress("measuring layers", 4) as bar:
            for step in range(4):
                bar.update()
                bar.refresh()
                logging.info("step %d", step)

    run(main)
"""


def test_on_a_terminal_lines_of_the_log_do_not_end_in_a_bar(tmp_path):
    (tmp_path / "binary.py").write_text(textwrap.dedent(BINARY))
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "binary.py")], stderr=inside, env=os.environ | HERE
    ) as process:
        os.close(inside)
        shown = "".join(iter(lambda: text_of(terminal), ""))
    assert process.returncode == 0
    assert "measuring layers:  50%" in shown
    rows = re.split(r"[\r\n]+", shown)
    assert [row[9:] for row in rows if "step" in row] == ["step 0", "step 1", "step 2", "step 3"]


def text_of(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # the other end is closed
        return ""
