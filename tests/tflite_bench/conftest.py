"""A private adb server, and emulated phones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulated_android import AdbServer, EmulatedDevice, fake_elf
from tests.tflite_bench.phones import phones
from tflite_bench.graph import Graph
from tflite_bench.layer_models import one_layer_model
from tflite_bench.sizing import sized


@pytest.fixture(scope="session")
def started_adb_server() -> Iterator[AdbServer]:
    with AdbServer() as server:
        yield server


@pytest.fixture
def adb_server(started_adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch) -> AdbServer:
    """The server, which `adb` in this process talks to."""
    for name, value in started_adb_server.environment.items():
        monkeypatch.setenv(name, value)
    return started_adb_server


@pytest.fixture
def phone(adb_server: AdbServer) -> Iterator[EmulatedDevice]:
    """The only phone that is connected."""
    with phones(adb_server, {}) as [device]:
        yield device


@pytest.fixture
def binary(tmp_path: Path) -> str:
    """What --benchmark_model takes: a tool for arm64 phones."""
    path = tmp_path / "benchmark_model"
    path.write_bytes(fake_elf())
    return str(path)


@pytest.fixture
def models(cnn_tflite: bytes) -> list[bytes]:
    """Five small models, each another."""
    graph = Graph(cnn_tflite)
    return [one_layer_model(graph, layer) for layer in sized(graph, {})[:5]]
