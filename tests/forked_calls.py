"""Calls of a binary, each in a process of its own that is forked after TensorFlow was imported, once for all of them.

    python -m tests.forked_calls MODULE FOLDER < CALLS

CALLS is a JSON list of lists of flags. What call N writes is in `N.out` and `N.err` of the folder; printed are the exit
statuses, as JSON.
"""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import netadapt_tf

_ROOT = Path(netadapt_tf.__path__[0]).parent
_AT_A_TIME = 2
_TIMEOUT_S = 600


def called(
    module: str, calls: Sequence[Sequence[str]], cwd: Path, output: Path
) -> list[subprocess.CompletedProcess[str]]:
    """What each call of a binary comes to.

    Args:
        module: of the binary.
        calls: flags.
        cwd: where the binary runs.
        output: a folder for what it writes.
    """
    command = [sys.executable, "-m", "tests.forked_calls", module, str(output)]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    driver = subprocess.run(
        command, input=json.dumps(calls), capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=cwd, env=environment
    )
    assert driver.returncode == 0, driver.stderr
    return [
        subprocess.CompletedProcess(
            [module, *flags], status, *((output / f"{number}.{end}").read_text() for end in ("out", "err"))
        )
        for number, (flags, status) in enumerate(zip(calls, json.loads(driver.stdout), strict=True))
    ]


def main(module: str, output: Path) -> None:
    """Forks the calls, prints their exit statuses."""
    from netadapt_tf import job  # noqa: F401 - imports all of TensorFlow, and defines no flag

    calls = json.load(sys.stdin)
    statuses: dict[int, int] = {}
    running: dict[int, int] = {}
    for number, flags in enumerate(calls):
        process = os.fork()
        if not process:
            _run(module, flags, output, number)
        running[process] = number
        while len(running) >= _AT_A_TIME or (running and number == len(calls) - 1):
            ended, status = os.wait()
            statuses[running.pop(ended)] = os.waitstatus_to_exitcode(status)
    print(json.dumps([statuses[number] for number in range(len(calls))]))


def _run(module: str, flags: Sequence[str], output: Path, number: int) -> None:
    """Is the binary, in this process, which then ends."""
    for end, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(output / f"{number}.{end}", os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = [module, *flags]
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
