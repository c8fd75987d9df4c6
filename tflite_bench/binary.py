"""The one way every binary runs: absl flags in, one sentence and an exit status out.

What goes wrong with flags is said here in our own words, with the next step; absl's are kept for what it alone knows.

Exit status: 0 done (also `--help` and `--version`); 2 what the user can mend, without a traceback, files that the
system refuses included; 1 a defect of ours, with its traceback; 130 interrupted.
"""

import difflib
import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from absl import app, flags, logging

from tflite_bench.binary_help import OF_EVERY_BINARY, FlagGroups, help_text, own_flags, required_flags
from tflite_bench.errors import UserError
from tflite_bench.log_lines import tell_own, tell_sentences
from tflite_bench.version import DISTRIBUTION, VERSION

_EXIT_USER_ERROR = 2
_EXIT_INTERRUPTED = 130
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_ABSL_ON_MISSING = "must have a value other than None"


def run(
    main: Callable[[Sequence[str]], None],
    resume_hint: str = "",
    flag_groups: FlagGroups = MappingProxyType({}),
    arguments: str = "",
) -> None:
    """Parses flags, runs `main(argv)` and exits with the status of the contract.

    Args:
        main: the binary's body; raises `UserError` for what the user can mend.
        resume_hint: a sentence printed after an interruption, saying how to go on.
        flag_groups: how `--help` arranges the flags; by default as they were declared.
        arguments: what stands beside the flags, as `--help` shows it; one at least. By default nothing may.
    """

    def body(argv: Sequence[str]) -> None:
        _log_readably([Path(__file__).parent, Path(inspect.getfile(main)).parent])
        main(argv)

    try:
        app.run(body, flags_parser=partial(_parse_flags, main.__module__, flag_groups, arguments))
    except UserError as error:
        _say(f"Error: {error}")
        sys.exit(_EXIT_USER_ERROR)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno in _DISK_FULL:
            _say(f"Error: the disk is full ({error}); make room; the same command goes on")
            sys.exit(_EXIT_USER_ERROR)
        if not isinstance(error.filename, str | bytes | os.PathLike):
            raise
        _say(f"Error: {os.fsdecode(error.filename)}: {error.strerror or error}")
        sys.exit(_EXIT_USER_ERROR)
    except KeyboardInterrupt:
        _say(f"\nInterrupted. {resume_hint}".rstrip())
        sys.stdout.flush()
        os._exit(_EXIT_INTERRUPTED)  # TensorFlow's threads may be in the middle of a step


@contextmanager
def quiet_native_code() -> Iterator[None]:
    """Hides what native libraries write to standard error; Python's exceptions pass. `--verbosity=1` shows it.

    TensorFlow greets, and converts, with lines that no environment variable silences.
    """
    if flags.FLAGS.is_parsed() and logging.level_debug():
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _parse_flags(main_module: str, groups: FlagGroups, arguments: str, argv: Sequence[str]) -> list[str]:
    asked = {argument.lstrip("-").partition("=")[0] for argument in argv[1:] if argument.startswith("-")}
    if asked & {"help", "h", "helpshort", "helpfull"}:  # absl's own would leave with 1 and read the text's % signs
        print(help_text(main_module, groups, arguments, full="helpfull" in asked))
        sys.exit(0)
    if "version" in asked:
        print(DISTRIBUTION, VERSION)
        sys.exit(0)
    own = own_flags(main_module)
    try:
        positional = flags.FLAGS(argv)
    except (OSError, UnicodeDecodeError) as error:  # absl lets these pass
        _refuse(f"--flagfile cannot be read as text: {error}.")
    except flags.UnrecognizedFlagError as error:
        alike = difflib.get_close_matches(error.flagname, [*(flag.name for flag in own), *OF_EVERY_BINARY], n=1)
        meant = f"; did you mean --{alike[0]}?" if alike else "."
        _refuse(f"there is no flag --{error.flagname}{meant} --help lists the flags.")
    except (flags.Error, ValueError) as error:  # a ValueError of absl's own flags, such as --stderrthreshold
        missing = [f"--{name}" for name in required_flags(own)]
        if _ABSL_ON_MISSING in str(error) and missing:
            are = "is" if len(missing) == 1 else "are"
            _refuse(f"{' and '.join(missing)} {are} missing; --help lists the flags, with examples.")
        _refuse(f"{error}. --help lists the flags.")
    except SystemExit:  # after --helpxml
        sys.exit(0)
    if arguments and len(positional) == 1:
        _refuse(f"{arguments} is missing; --help shows examples.")
    if not arguments and len(positional) > 1:
        _refuse(f"unexpected argument {positional[1]!r}: this binary takes flags only (--name=value).")
    return positional


def _log_readably(own_folders: Sequence[Path]) -> None:
    """Times and sentences; of other packages only warnings, unless --verbosity asks for more."""
    handler = logging.get_absl_handler().python_handler
    tell_sentences(handler)
    if sys.stderr.isatty():
        from tqdm.contrib import (
            DummyTqdmFile,
        )  # which imports tqdm.auto, and that warns in notebooks without ipywidgets

        handler.setStream(DummyTqdmFile(sys.stderr))  # a line of the log above a progress bar, not in the midst of it
    if not logging.level_debug():
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # TensorFlow 2.20 tells of the end of every data set
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.INFO)
        tell_own(handler, own_folders)


def _refuse(sentence: str) -> NoReturn:
    _say(f"Error: {sentence}")
    sys.exit(_EXIT_USER_ERROR)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
