"""SwiftShader, a Vulkan driver that computes on the CPU: what stands in for a GPU in the tests."""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

_DRIVER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
_LOADER = "libvulkan.so.1"

ENVIRONMENT: Mapping[str, str] = {"VK_DRIVER_FILES": str(_DRIVER), "VK_ICD_FILENAMES": str(_DRIVER)}
"""With it a process sees SwiftShader and no other driver."""


def require_software_gpu() -> None:
    """Skips a test with the reason where SwiftShader cannot be had; in continuous integration that is a failure."""
    missing = _missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def _missing() -> str:
    if not _DRIVER.exists():
        return f"no SwiftShader: {_DRIVER} is not there (Debian: apt-get install chromium)"
    try:
        ctypes.CDLL(_LOADER)
    except OSError as error:
        return f"no Vulkan loader: {error} (Debian: apt-get install libvulkan1)"
    return ""
