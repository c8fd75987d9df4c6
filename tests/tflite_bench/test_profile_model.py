"""The real binary, as its users start it."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tflite_bench
from tflite_bench.latency_table import stored_kinds

MISTAKES = {
    "no model named": ([], ("--model", "--help")),
    "missing": (["--model=missing.tflite"], ("--model=missing.tflite cannot be read: No such file or directory",)),
    "folder": (["--model=."], ("--model=. cannot be read: Is a directory",)),
    "no model": (["--model=notes.txt"], ("TensorFlow Lite model",)),
    "cut short": (["--model=cut.tflite"], ("model",)),
    "empty": (["--model=empty.tflite"], ("TensorFlow Lite model",)),
    "unknown target": (["--model=net.tflite", "--target=moon/cpu:1"], ("unknown target 'moon/cpu:1'", "android/gpu")),
    "gpu without the tool": (
        ["--model=net.tflite", "--target=android/gpu"],
        ("target android/gpu needs the tool", "--benchmark_model=[ABI:]PATH"),
    ),
    "tool on this machine without the tool": (
        ["--model=net.tflite", "--target=benchmark_model/cpu:1"],
        ("target benchmark_model/cpu:1 needs the tool", "--benchmark_model=[ABI:]PATH"),
    ),
    "missing tool": (
        ["--model=net.tflite", "--target=android/gpu", "--benchmark_model=arm64-v8a:missing"],
        ("--benchmark_model=arm64-v8a:missing: missing cannot be read (No such file or directory)",),
    ),
    "missing tool that is not needed": (
        ["--model=net.tflite", "--target=host/cpu:1", "--benchmark_model=missing"],
        ("--benchmark_model=missing: missing cannot be read",),
    ),
    "tool of another machine": (
        ["--model=net.tflite", "--target=benchmark_model/cpu:1", "--benchmark_model=riscv.elf"],
        ("needs a benchmark_model built for", "riscv.elf (riscv64)"),
    ),
    "tool that is none": (
        ["--model=net.tflite", "--target=benchmark_model/cpu:1", "--benchmark_model=script"],
        ("script does not answer --help", "who am I"),
    ),
    "tool that cannot be started": (
        ["--model=net.tflite", "--target=benchmark_model/cpu:1", "--benchmark_model=notes.txt"],
        ("notes.txt cannot be started (Permission denied)",),
    ),
    "option that a delegate has not": (
        ["--model=net.tflite", "--target=android/gpu,layers=profile", "--benchmark_model=script"],
        ("layers=profile is for cpu targets",),
    ),
    "no table": (["--model=net.tflite", "--table=notes.txt"], ("notes.txt", "--table")),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, cnn_tflite) -> Path:
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "net.tflite").write_bytes(cnn_tflite)
    (folder / "cut.tflite").write_bytes(cnn_tflite[: len(cnn_tflite) // 2])
    (folder / "empty.tflite").write_bytes(b"")
    (folder / "notes.txt").write_text("these are my notes\n")
    (folder / "riscv.elf").write_bytes(b"\x7fELF\x02\x01" + bytes(12) + (243).to_bytes(2, "little") + bytes(40))
    (folder / "script").write_text("#!/bin/sh\necho who am I\n")
    (folder / "script").chmod(0o755)
    return folder


def started(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    packages = str(Path(tflite_bench.__path__[0]).parent)
    environment = os.environ | {"PYTHONPATH": packages, "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "tflite_bench.profile_model", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def answers(folder) -> dict[str, subprocess.CompletedProcess[str]]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(MISTAKES, pool.map(lambda name: started(folder, *MISTAKES[name][0]), MISTAKES), strict=True))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence(answers, name):
    result = answers[name]
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    for words in MISTAKES[name][1]:
        assert words in sentence
    assert "Traceback" not in result.stderr


def test_help_is_no_mistake(folder):
    result = started(folder, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--benchmark_model" in result.stdout


def test_a_model_is_measured_whole_and_layer_by_layer(folder):
    result = started(folder, "--model=net.tflite", "--table=table.sqlite")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"host/cpu:1: [\d.]+ ms whole \(\d+ runs, p5 [\d.]+, p95 [\d.]+\)", lines[0])
    assert any("CONV_2D -> " in line for line in lines)
    assert re.fullmatch(r"sum of the layers alone and one call / whole: \d+\.\d{3}", lines[-1])
    assert stored_kinds(folder / "table.sqlite") == ["host/cpu:1"]
