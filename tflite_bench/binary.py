"""The one way every binary runs: absl flags in, one sentence and an exit status out.

Exit status: 0 done (also `--help`); 2 what the user can mend, without a traceback, files that the system refuses
included; 1 a defect of ours, with its traceback; 130 interrupted.
"""

import inspect
import logging as standard_logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from absl import app, flags, logging

from tflite_bench.errors import UserError

_EXIT_USER_ERROR = 2
_EXIT_INTERRUPTED = 130


def run(main: Callable[[Sequence[str]], None], resume_hint: str = "") -> None:
    """Parses flags, runs `main(argv)` and exits with the status of the contract.

    Args:
        main: the binary's body; raises `UserError` for what the user can mend.
        resume_hint: a sentence printed after an interruption, saying how to go on.
    """

    def body(argv: Sequence[str]) -> None:
        _log_readably([Path(__file__).parent, Path(inspect.getfile(main)).parent])
        main(argv)

    try:
        app.run(body, flags_parser=_parse_flags)
    except UserError as error:
        _say(f"Error: {error}")
        sys.exit(_EXIT_USER_ERROR)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
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


def _parse_flags(argv: Sequence[str]) -> list[str]:
    if {"--help", "-help", "-h"} & set(argv[1:]):  # absl's own would leave with 1 and read the text's % signs
        print(sys.modules["__main__"].__doc__)
        print(flags.FLAGS.main_module_help())
        sys.exit(0)
    try:
        positional = flags.FLAGS(argv)
    except (OSError, UnicodeDecodeError) as error:  # absl lets these pass
        _say(f"Error: --flagfile cannot be read as text: {error}.")
        sys.exit(_EXIT_USER_ERROR)
    except (flags.Error, ValueError) as error:  # a ValueError of absl's own flags, such as --stderrthreshold
        _say(f"Error: {error}. --help lists the flags.")
        sys.exit(_EXIT_USER_ERROR)
    except SystemExit:  # after --helpfull and the like
        sys.exit(0)
    if len(positional) > 1:
        _say(f"Error: unexpected argument {positional[1]!r}: this binary takes flags only (--name=value).")
        sys.exit(_EXIT_USER_ERROR)
    return positional


def _log_readably(own_folders: Sequence[Path]) -> None:
    """Times and sentences; of other packages only warnings, unless --verbosity asks for more."""
    handler = logging.get_absl_handler().python_handler
    handler.setFormatter(standard_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.INFO)
        handler.addFilter(
            lambda record: (
                record.levelno > standard_logging.WARNING
                or any(Path(record.pathname).is_relative_to(folder) for folder in own_folders)
            )
        )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
