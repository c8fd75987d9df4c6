"""An emulated Android phone for tests: the real `adb` talks to it, and a stand-in for `benchmark_model` runs on it."""

from tests.emulated_android.adb_server import AdbServer
from tests.emulated_android.device import EmulatedDevice
from tests.emulated_android.faults import Run, ToolFault
from tests.emulated_android.files import fake_elf

__all__ = ["AdbServer", "EmulatedDevice", "Run", "ToolFault", "fake_elf"]
