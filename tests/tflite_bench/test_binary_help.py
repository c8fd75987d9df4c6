"""What `--help` prints: of a script made for it, and of the real binaries."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

from tests.real_binaries import BINARIES
from tflite_bench.version import VERSION

BODY = """
    '''Counts to 60% --really.

    What is said at some length about the counting is as wide as the terminal, wherever the lines in here are
    broken, so that nobody has to read half a line and then the other half.

    Example:

      python -m counting --up
    '''
    from absl import flags
    from tflite_bench.binary import run
    UP = flags.DEFINE_bool("up", False, "Upwards.")
    UNTIL = flags.DEFINE_integer("until", None, "The last.", lower_bound=1, upper_bound=9, required=True)
    FROM = flags.DEFINE_integer("from", 0, "The first; " + "why should it not be said at length? " * 5)
    STEPS = flags.DEFINE_multi_integer("step", [], "Of how much; repeatable.", lower_bound=2)
    WORDS = flags.DEFINE_enum("words", "few", ["few", "many"], "How talkative.")
    LEFT = flags.DEFINE_string("left_out", None, "In no group.")
    DOOR = flags.DEFINE_string("door", None, "Of the house.", required=True)

    def main(argv):
        print("counted")

    def entry_point():
        run(main, flag_groups={"The numbers": (UNTIL, FROM, STEPS), "The manner": (UP, WORDS)})

    if __name__ == "__main__":
        entry_point()
"""
EVERY_BINARY = {"help", "helpfull", "version", "verbosity", "flagfile"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "counting.py").write_text(textwrap.dedent(BODY))
    (tmp_path / "count").write_text("from counting import entry_point\nentry_point()\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}.")
    return tmp_path


def called(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True)


def test_help_has_usage_the_text_as_it_is_and_flags_by_purpose(folder):
    result = called("-m", "counting", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    usage, text, *groups = re.split(r"\n\n(?=Counts|[A-Z][a-z ]+:\n  --)", result.stdout)
    assert usage == "Usage: python -m counting --until=... --door=... [--flag=value ...]"
    first, said, *example = text.split("\n\n")
    assert first == "Counts to 60% --really."
    assert said.startswith("What is said at some length about the counting is as wide")
    assert example == ["Example:", "  python -m counting --up"]
    assert [group.partition(":")[0] for group in groups] == ["The numbers", "The manner", "Other flags", "Every binary"]
    numbers, manner, others, _ = groups
    assert "  --until  The last. [required; 1 to 9]\n" in numbers
    assert numbers.endswith("[default: 0]\n  --step   Of how much; repeatable. [at least 2]")
    assert manner == "The manner:\n  --up     Upwards.\n  --words  <few|many>: How talkative. [default: few]"
    assert others == "Other flags:\n  --left_out  In no group.\n  --door      Of the house. [required]"
    assert "--pdb" not in result.stdout


def test_an_installed_command_is_called_by_its_name_in_its_own_examples(folder):
    shown = called(str(folder / "count"), "--help").stdout
    assert shown.startswith("Usage: count --until=... --door=... [--flag=value ...]\n")
    assert "\n  count --up\n" in shown
    assert "Other flags:\n  --left_out" in shown


@pytest.mark.parametrize(("columns", "widest"), [("40", 80), ("100", 100), ("300", 120)])
def test_help_is_as_wide_as_the_terminal_within_reason(folder, columns, widest, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    lines = called("-m", "counting", "-h").stdout.splitlines()
    (said,) = (line for line in lines if line.startswith("What is said"))
    assert widest - 8 < len(said) <= widest
    assert widest - 8 < max(map(len, lines)) <= widest


def test_helpfull_adds_the_flags_of_libraries(folder):
    result = called("-m", "counting", "--helpfull")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(called("-m", "counting", "--help").stdout.rstrip())
    assert re.search(r"\nabsl.app:\n.*--pdb ", result.stdout, re.DOTALL)
    assert result.stdout.count("--words") == 1


@pytest.mark.parametrize(
    ("given", "missing"), [([], "--until and --door are missing"), (["--door=1"], "--until is missing")]
)
def test_flags_that_are_missing_are_named_together(folder, given, missing):
    result = called("-m", "counting", *given)
    assert result.returncode == 2
    assert result.stderr == f"Error: {missing}; --help lists the flags, with examples.\n"


@pytest.mark.parametrize("name", BINARIES.values())
def test_a_real_binary_groups_all_its_flags_and_has_examples_that_can_be_typed(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = called("-m", name, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "Other flags" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    explained = set(re.findall(r"^  --(\w+)  ", result.stdout, re.MULTILINE))
    assert explained > EVERY_BINARY
    examples = re.findall(rf"^  python -m {name} (?:.*\\\n)*.*$", result.stdout, re.MULTILINE)
    assert examples
    assert set(re.findall(r" --(\w+)", "".join(examples))) <= explained


@pytest.mark.parametrize("name", BINARIES.values())
def test_a_real_binary_tells_its_version_without_loading_tensorflow(name):
    result = called("-X", "importtime", "-m", name, "--version")
    assert (result.returncode, result.stdout) == (0, f"netadapt_tf {VERSION}\n")
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "absl" in loaded
    assert not loaded & {"tensorflow", "tf_keras"}
