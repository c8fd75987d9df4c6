import os
import subprocess
import sys

from tests.software_gpu import ENVIRONMENT
from tflite_bench.vulkan_drivers import _version_text, vulkan_drivers

SHOW = "from tflite_bench.vulkan_drivers import vulkan_drivers; print(vulkan_drivers())"
NO_DRIVER = dict.fromkeys(ENVIRONMENT, "/no/driver.json")


def shown(environment: dict[str, str]) -> str:
    result = subprocess.run(
        [sys.executable, "-c", SHOW], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_a_driver_is_named_with_its_version(software_gpu):
    assert shown(dict(ENVIRONMENT)).startswith("{'SwiftShader Device (Subzero)': 'SwiftShader driver ")


def test_without_a_driver_there_is_nothing():
    assert shown(NO_DRIVER) == "{}"


def test_without_a_loader_there_is_nothing(monkeypatch):
    monkeypatch.setattr("tflite_bench.vulkan_drivers._LOADER", "libno_such_loader.so.1")
    assert vulkan_drivers() == {}


def test_versions_are_unpacked():
    assert _version_text(5 << 22) == "5.0.0"
    assert _version_text(1 << 22 | 3 << 12 | 204) == "1.3.204"
