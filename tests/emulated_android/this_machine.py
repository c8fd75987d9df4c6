"""The stand-in for `benchmark_model` as a program of this machine."""

import sys
from pathlib import Path

_REPOSITORY = Path(__file__).absolute().parents[2]
_PROGRAM = """\
import sys
from tests.emulated_android import benchmark_model, tool_log
setup = tool_log.ToolSetup("/nowhere", fault=None, time_factor=1.0, gpu=False, gpu_partial=False, gpu_fixed_ms=0.0)
sys.exit(benchmark_model.main(sys.argv, setup))
"""


def write_tool_for_this_machine(path: Path) -> None:
    """Writes a program that takes the tool's flags and really runs the model."""
    path.write_text(f"#!/bin/sh\nPYTHONPATH={_REPOSITORY} exec {sys.executable} -c '{_PROGRAM}' \"$@\"\n")
    path.chmod(0o755)
