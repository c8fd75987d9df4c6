import os
import signal
import subprocess
import sys
import textwrap

import pytest

BODY = """
    '''Counts to 60% --really.'''
    import os, sys, time
    from absl import flags
    from absl import logging as absl_logging
    from tflite_bench.binary import run
    from tflite_bench.errors import UserError
    COUNT = flags.DEFINE_integer("count", 1, "How many.", lower_bound=1)

    def main(argv):
        if COUNT.value == 2:
            raise UserError("two is too many; one would be right")
        if COUNT.value == 3:
            raise ZeroDivisionError("a defect")
        if COUNT.value == 4:
            print("ready", flush=True)
            time.sleep(30)
        if COUNT.value == 5:
            open("/dev/null/table", "w")
        if COUNT.value == 6:
            raise OSError("a defect, of no file")
        if COUNT.value == 10:
            raise OSError(28, "No space left on device")
        if COUNT.value == 7:
            os.stat(987654)
        if COUNT.value == 8:
            os.mkdir("x" * 300)
        if COUNT.value == 9:
            from tflite_bench.binary import quiet_native_code
            with quiet_native_code():
                os.write(2, b"native greeting")
            import library
            absl_logging.info("what we do")
        print("done")

    if __name__ == "__main__":
        run(main, resume_hint="Call again.")
"""
LIBRARY = """
    import logging
    logging.warning("a warning of a library")
    logging.info("what a library does")
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "binary.py"
    path.write_text(textwrap.dedent(BODY))
    return [sys.executable, str(path)]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 0, ""),
        (["--help"], 0, ""),
        (["--count=2"], 2, "Error: two is too many; one would be right"),
        (["--count=x"], 2, "--count"),
        (["--count=0"], 2, "--count"),
        (["--no_such_flag"], 2, "Error: there is no flag --no_such_flag. --help lists the flags."),
        (["--cuont=1"], 2, "Error: there is no flag --cuont; did you mean --count? --help lists the flags."),
        (["stray"], 2, "stray"),
        (["--count=3"], 1, "ZeroDivisionError"),
        (["--count=5"], 2, "Error: /dev/null/table: Not a directory"),
        (["--count=6"], 1, "a defect, of no file"),
        (["--count=10"], 2, "Error: the disk is full ([Errno 28] No space left on device); make room"),
        (["--count=7"], 1, "Bad file descriptor"),
        (["--count=8"], 2, "xxx: File name too long"),
        (["--stderrthreshold=loud"], 2, "Error: --stderrthreshold must be one of"),
        (["--flagfile=missing"], 2, "missing"),
        (["--flagfile=/proc/self/mem"], 2, "Error: --flagfile cannot be read as text: "),
        ([f"--flagfile={sys.executable}"], 2, "Error: --flagfile cannot be read as text: "),
    ],
)
def test_exit_status_and_sentence(script, arguments, status, said, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")
    result = subprocess.run([*script, *arguments], capture_output=True, text=True)
    assert result.returncode == status
    assert said in result.stderr
    assert ("Traceback" in result.stderr) == (status == 1)


@pytest.mark.parametrize(
    ("verbosity", "said"),
    [
        ([], {"what we do", "a warning of a library"}),
        (["--verbosity=-1"], {"a warning of a library"}),
        (["--verbosity=0"], {"what we do", "a warning of a library", "what a library does"}),
        (["--verbosity=1"], {"what we do", "a warning of a library", "what a library does", "native greeting"}),
    ],
)
def test_logs_are_quiet_unless_verbosity_asks_for_more(script, verbosity, said, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("libraries")
    (elsewhere / "library.py").write_text(textwrap.dedent(LIBRARY))
    monkeypatch.setenv("PYTHONPATH", f"{elsewhere}{os.pathsep}.")
    errors = subprocess.run([*script, "--count=9", *verbosity], capture_output=True, text=True).stderr
    anything = {"what we do", "a warning of a library", "what a library does", "native greeting"}
    assert {words for words in anything if words in errors} == said


def test_interruption_says_how_to_go_on(script, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")
    process = subprocess.Popen([*script, "--count=4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Call again." in errors
    assert "Traceback" not in errors


def test_a_binary_may_take_arguments_before_and_behind_its_flags(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ".")
    path = tmp_path / "binary.py"
    path.write_text(
        "from absl import flags\nfrom tflite_bench.binary import run\n"
        "COUNT = flags.DEFINE_integer('count', 1, 'How many.')\n\n"
        "def main(argv):\n    print(argv[1:], COUNT.value)\n\n"
        "run(main, arguments='FILE [FILE ...]')\n"
    )

    def said(*arguments: str) -> tuple[int, str]:
        result = subprocess.run([sys.executable, path, *arguments], capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    assert said("a", "--count=2", "b") == (0, "['a', 'b'] 2\n")
    assert said("--count=2") == (2, "Error: FILE [FILE ...] is missing; --help shows examples.\n")
    assert said("--help")[1].startswith("Usage: binary.py FILE [FILE ...] [--flag=value ...]\n")


def test_notebooks_that_import_it_are_not_told_of_widgets():
    asked = "import sys, tflite_bench.binary, tflite_bench.progress; print(*{'tqdm', 'tqdm.auto'} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert said == "tqdm\n"


@pytest.mark.parametrize(("flag", "level"), [("--verbosity=0", "1"), ("--verbosity=1", "None")])
def test_native_code_of_tensorflow_tells_no_details_unless_asked(tmp_path, flag, level):
    script = tmp_path / "binary.py"
    script.write_text(
        "import os\nfrom tflite_bench.binary import run\nrun(lambda _: print(os.environ.get('TF_CPP_MIN_LOG_LEVEL')))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, str(script), flag]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout == f"{level}\n"
