"""The binaries against an emulated phone, as their help shows them: the conversation is real, the numbers are not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated_android import AdbServer, fake_elf, write_tool_for_this_machine
from tests.tflite_bench.phones import phones
from tests.tiny_adaptation import QUICK_FLAGS
from tests.tiny_networks import two_convolutions
from tflite_bench.graph import Graph

QUICK = "min_secs=0.02,warmup_min_secs=0.01,warmup_runs=1"
CPU, GPU = f"android/cpu:1,{QUICK}", f"android/gpu,{QUICK}"
SEARCH = [*QUICK_FLAGS, "--network=net.keras", "--benchmark_model=benchmark_model", "--table=table.sqlite"]


@pytest.fixture
def server() -> Iterator[AdbServer]:
    with AdbServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the binaries run: a network with two groups that can shrink, and a tool."""
    two_convolutions().save(tmp_path / "net.keras")
    (tmp_path / "benchmark_model").write_bytes(fake_elf())
    return tmp_path


def call(module: str, *flags: str, folder: Path, server: AdbServer) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **server.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", module, *flags],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def succeeded(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_two_budgets_on_one_phone_are_met_by_its_measurement(server, folder):
    flags = [*SEARCH, f"--budget=latency@{CPU}=60%", f"--budget=latency@{GPU}=90%", "--run_dir=run"]
    with phones(server, {"gpu": True, "gpu_fixed_ms": 0.3}) as [phone]:
        table = succeeded(call("netadapt_tf.adapt", *flags, folder=folder, server=server))
        left_over = list(phone.files.local("/data/local/tmp").iterdir())
    assert left_over == []
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert [budget["met"] for budget in summary["budgets"]] == [True, True], table
    assert summary["latency_is_from"] == "measurement"
    assert set(summary["target"]) == {CPU, GPU}
    assert summary["target"][CPU]["model"] == "Emulated Phone 3"
    assert summary["target"][CPU]["pinning"] == "taskset 80"
    events = [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]
    (checked,) = [event for event in events if event["event"] == "estimates"]
    assert checked["target"] == GPU
    assert checked["measured"].keys() == {"full", "middle", "least"}
    shown = succeeded(
        call("tflite_bench.show_table", f"--target={CPU}", "--table=table.sqlite", folder=folder, server=server)
    )
    assert "soc: SDM845" in shown


def number_type(tflite: Path) -> str:
    graph = Graph(tflite.read_bytes())
    return graph.type_name(graph.inputs[0])


INT8 = ["--precision=int8", "--calibration_images=32", "--quantization_aware_epochs=1", "--filter_multiple=64"]


@pytest.fixture
def wide(folder: Path) -> Path:
    """A processor whose matrix instructions work on int8 takes as long for 16 filters as for 64, but not as for 256."""
    two_convolutions(resolution=16, filters=256).save(folder / "net.keras")
    return folder


@pytest.mark.slow
def test_an_int8_network_is_adapted_by_its_latency_on_a_phone(server, wide):
    flags = [*SEARCH, *INT8, f"--budget=latency@{CPU}=60%", "--run_dir=run"]
    with phones(server, {}):
        table = succeeded(call("netadapt_tf.adapt", *flags, folder=wide, server=server))
    summary = json.loads((wide / "run" / "summary.json").read_text())
    assert summary["budgets"][0]["met"], table
    assert summary["latency_is_from"] == "measurement"
    assert number_type(wide / "run" / "adapted.tflite") == "int8"
    shown = succeeded(
        call("tflite_bench.show_table", f"--target={CPU}", "--table=table.sqlite", folder=wide, server=server)
    )
    assert "int8*[" in shown


@pytest.mark.slow
@pytest.mark.sweep
def test_an_int8_network_is_adapted_by_the_tool_on_this_machine(server, wide):
    write_tool_for_this_machine(wide / "benchmark_model")
    budget = f"--budget=latency@benchmark_model/cpu:1,{QUICK}=80%"
    table = succeeded(
        call(
            "netadapt_tf.adapt",
            *SEARCH,
            *INT8,
            budget,
            "--run_dir=run",
            folder=wide,
            server=server,
        )
    )
    summary = json.loads((wide / "run" / "summary.json").read_text())
    assert summary["budgets"][0]["met"], table
    assert number_type(wide / "run" / "adapted.tflite") == "int8"


@pytest.mark.slow
def test_a_table_is_filled_from_profiles_of_few_networks(server, folder):
    target = f"android/cpu:1,layers=profile,xnnpack=false,{QUICK}"
    fill = ["--network=net.keras", f"--target={target}", "--filter_multiple=16", "--benchmark_model=benchmark_model"]
    with phones(server, {}):
        text = succeeded(call("netadapt_tf.fill_table", *fill, "--table=lab.sqlite", folder=folder, server=server))
        again = succeeded(call("netadapt_tf.fill_table", *fill, "--table=lab.sqlite", folder=folder, server=server))
    assert "not in the table yet, in 16 networks: about" in text, "each group has four widths, and one layer two groups"
    assert " 0 of them not in the table yet" in again


@pytest.mark.slow
def test_a_table_is_filled_on_one_machine_and_searched_with_on_another(server, folder):
    fill = ["--network=net.keras", f"--target={CPU}", "--filter_multiple=16", "--benchmark_model=benchmark_model"]
    with phones(server, {}) as [phone]:
        text = succeeded(call("netadapt_tf.fill_table", *fill, "--table=lab.sqlite", folder=folder, server=server))
        runs = len(phone.runs)
        again = succeeded(call("netadapt_tf.fill_table", *fill, "--table=lab.sqlite", folder=folder, server=server))
        assert len(phone.runs) - runs <= 2, "what is in the table was measured again"
    assert "layers in the grid" in text
    assert " 0 of them not in the table yet" in again
    export = ["--table=lab.sqlite", f"--target={CPU}", "--export=table.csv"]
    succeeded(call("tflite_bench.show_table", *export, folder=folder, server=server))
    take_over = ["--table=table.sqlite", "--import=table.csv"]
    succeeded(call("tflite_bench.show_table", *take_over, folder=folder, server=server))

    search = [*SEARCH, f"--budget=latency@{CPU}=60%", "--run_dir=run"]
    without = call("netadapt_tf.adapt", *search, folder=folder, server=server)
    assert without.returncode == 2
    assert "no Android device is connected" in without.stderr
    table = succeeded(call("netadapt_tf.adapt", *search, "--table_only", folder=folder, server=server))
    assert "by the table" in table
    assert "nothing was measured, nothing is proven" in table
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["latency_is_from"] == "table"
    assert summary["target"][CPU]["model"] == "Emulated Phone 3"
    assert summary["budgets"][0]["met"]
