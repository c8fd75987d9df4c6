"""An emulated Android phone for tests: the real `adb` talks to it, and a stand-in for `benchmark_model` runs on it."""

from tests.emulated_android.adb_server import AdbServer
from tests.emulated_android.device import EmulatedDevice
from tests.emulated_android.faults import Run, ToolFault
from tests.emulated_android.files import fake_elf
from tests.emulated_android.this_machine import write_tool_for_this_machine

__all__ = ["AdbServer", "EmulatedDevice", "Run", "ToolFault", "fake_elf", "write_tool_for_this_machine"]
