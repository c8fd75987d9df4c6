"""Runs pytest as the program of a Bazel test: what Bazel says by environment variables, pytest hears as flags."""

import os
import sys
from pathlib import Path

import pytest


def main(arguments: list[str]) -> int:
    """Runs pytest; the folder that Bazel gives a test is its HOME too, since Bazel has none."""
    folder = Path(os.environ["TEST_TMPDIR"])
    os.environ["HOME"] = str(folder)
    chosen = os.environ.get("TESTBRIDGE_TEST_ONLY")
    by_name = ["-k", chosen] if chosen else []
    return pytest.main(["-p", "no:cacheprovider", f"--basetemp={folder / 'pytest'}", *by_name, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
