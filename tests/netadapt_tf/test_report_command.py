"""The real binary, as its users start it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netadapt_tf
from tests.netadapt_tf.reporting.small_run import write_run


def started(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(netadapt_tf.__path__[0]).parent)}
    command = [sys.executable, "-m", "netadapt_tf.report", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=environment)


def test_a_report_is_written_where_it_belongs(tmp_path):
    write_run(tmp_path / "run")
    result = started(tmp_path, "run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "run/report.html\n", "")
    assert "<title>small, adapted: run</title>" in (tmp_path / "run" / "report.html").read_text()


def test_several_runs_make_the_file_that_is_named(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", finished=False, iterations=1)
    result = started(tmp_path, "a", "b", "--output=new/both.html")
    assert (result.returncode, result.stdout, result.stderr) == (0, "new/both.html\n", "")
    assert "2 adaptations side by side" in (tmp_path / "new" / "both.html").read_text()
    assert not (tmp_path / "a" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "RUN_DIR [RUN_DIR ...] is missing"),
        (["a", "b"], "several runs make one report; name its file with --output"),
        (["nowhere"], "nowhere is no folder"),
        (["."], ". is no run directory: it holds no config.json"),
    ],
)
def test_what_is_amiss_is_one_sentence(tmp_path, arguments, said):
    result = started(tmp_path, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: {said}")
    assert len(result.stderr.splitlines()) == 1
