"""The real binary, as its users start it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tflite_bench
from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.table_listing import listing
from tflite_bench.timing import Reading

PIXEL = Context("android/cpu:1", {"model": "Google Pixel 3", "soc": "sdm845"}, "warm", "median")
GALAXY = Context("android/cpu:1", {"model": "samsung SM-G991B", "soc": "exynos2100"}, "warm", "median")
HOST = Context("host/cpu:1", {"cpu": "Some CPU"}, "cold", "mean")
AT = "2026-11-24T10:00:00+00:00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with tables; no test changes them."""
    folder = tmp_path_factory.mktemp("tables")
    for number, context in enumerate([PIXEL, GALAXY, HOST], start=1):
        entries = [
            Entry(f"LAYER_{number}_{n}", Reading(n, n / 2, n * 2, 30), 0.5, 0.01, False, AT) for n in range(1, 4)
        ]
        LatencyTable(folder / "full.sqlite", context).add(entries)
    LatencyTable(folder / "empty.sqlite", HOST)
    long = [Entry(f"LAYER_{n}", Reading(1.0, 0.5, 2.0, 30), 0.5, 0.04, True, AT) for n in range(20_000)]
    LatencyTable(folder / "long.sqlite", HOST).add(long)
    (folder / "notes.txt").write_text("these are my notes\n")
    (folder / "damaged.csv").write_text("# netadapt_tf latency table, format 1\n# target: host/cpu:1\n")
    return folder


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "tflite_bench.show_table", *flags]


def environment(folder: Path) -> dict[str, str]:
    packages = str(Path(tflite_bench.__path__[0]).parent)
    return os.environ | {"PYTHONPATH": packages, "XDG_CACHE_HOME": str(folder / "cache")}


def started(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*flags), capture_output=True, text=True, timeout=60, cwd=folder, env=environment(folder)
    )


def shown(folder: Path, *flags: str) -> str:
    result = started(folder, *flags)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ("there is no latency table", "latency_table.sqlite", "--table")),
        (["--table=missing.sqlite"], ("there is no latency table missing.sqlite", "--table")),
        (["--table=notes.txt"], ("notes.txt", "--table")),
        (["--table=empty.sqlite"], ("holds no entries for any target", "it holds none at all")),
        (
            ["--table=full.sqlite", "--target=android/gpu"],
            ("no entries for android/gpu", "it holds android/cpu:1, host/cpu:1"),
        ),
        (["--table=full.sqlite", "--device=iPhone"], ("of devices like 'iPhone'", "it holds android/cpu:1")),
        (["--table=full.sqlite", "--target=moon"], ("unknown target 'moon'", "host/cpu:1")),
        (["--table=new.sqlite", "--import=missing.csv"], ("missing.csv cannot be read",)),
        (["--table=new.sqlite", "--import=damaged.csv"], ("damaged.csv is no exported latency table",)),
        (["--table=new.sqlite", "--import=notes.txt"], ("notes.txt is no exported latency table", "first line")),
        (["--table=new.sqlite", "--import=full.sqlite"], ("full.sqlite is no exported latency table",)),
        (["--table=full.sqlite", "--export=nowhere/table.csv"], ("nowhere", "No such file or directory")),
        (["--tabel=full.sqlite"], ("tabel", "--help")),
        (["full.sqlite"], ("unexpected argument 'full.sqlite'",)),
    ],
)
def test_a_mistake_gets_one_sentence(folder, flags, words):
    result = started(folder, *flags)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr
    assert not (folder / "missing.sqlite").exists()
    assert not (folder / "new.sqlite").exists()


def test_help_is_no_mistake(folder):
    text = shown(folder, "--help")
    assert "--import" in text
    assert "--device" in text


def test_all_targets_are_shown_by_default(folder):
    text = shown(folder, "--table=full.sqlite")
    for words in ("android/cpu:1: 3 entries", "host/cpu:1: 3 entries", "Google Pixel 3", "LAYER_1_1", "LAYER_3_3"):
        assert words in text


def test_one_target_of_whichever_phone(folder):
    text = shown(folder, "--table=full.sqlite", "--target=android:SERIAL/cpu:1")
    assert "LAYER_1_1" in text
    assert "LAYER_2_1" in text
    assert "LAYER_3_1" not in text


@pytest.mark.parametrize("device", ["Pixel 3", "pixel", "SDM845"])
def test_one_device(folder, device):
    text = shown(folder, "--table=full.sqlite", f"--device={device}")
    assert "LAYER_1_1" in text
    assert "LAYER_2_1" not in text
    assert "LAYER_3_1" not in text


def test_a_table_travels_as_text(folder, tmp_path):
    text, there = tmp_path / "table.csv", tmp_path / "there.sqlite"
    assert "9 entries written" in shown(folder, "--table=full.sqlite", f"--export={text}")
    assert shown(tmp_path, f"--table={there}", f"--import={text}").splitlines() == [
        "3 entries taken over for android/cpu:1",
        "3 entries taken over for android/cpu:1",
        "3 entries taken over for host/cpu:1",
    ]
    assert shown(tmp_path, f"--table={there}") == shown(folder, "--table=full.sqlite")
    assert "0 entries taken over" in shown(tmp_path, f"--table={there}", f"--import={text}")


def test_what_is_exported_is_what_is_asked_for(folder, tmp_path):
    text = tmp_path / "table.csv"
    shown(folder, "--table=full.sqlite", "--target=android/cpu:1", "--device=SM-G991B", f"--export={text}")
    assert "LAYER_2_1" in text.read_text()
    assert "LAYER_1_1" not in text.read_text()


def test_a_reader_who_has_seen_enough_is_no_mistake(folder):
    with subprocess.Popen(
        command("--table=long.sqlite"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(folder),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"host/cpu:1: 20000 entries")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_what_drifted_is_flagged(folder):
    text = shown(folder, "--table=long.sqlite")
    assert "drifted by more than was allowed): 20000" in text
    assert "!" not in shown(folder, "--table=full.sqlite").replace("(! below", "")


def test_what_would_act_on_a_terminal_is_written_out():
    context = Context("host/cpu:1", {"cpu": "a\x1b[2Jb"}, "warm\u202e", "median")
    text = listing(context, [Entry("ADD \x07\n\x9b31m", Reading(1.0, 1.0, 1.0, 1), 1.0, 0.0, False, AT)])
    assert text.replace("\n", "").isprintable()
    assert "cpu: a\\x1b[2Jb\n" in text
    assert "ADD \\x07\\n\\x9b31m" in text
