"""Emulated phones as the tests of measuring use them: connected to an adb server of their own, quick to give up."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.emulated_android import AdbServer, EmulatedDevice
from tflite_bench.android import Patience
from tflite_bench.meters import Meters

QUICK = "min_secs=0,warmup_min_secs=0,warmup_runs=1"
"""Target options that let a run of the tool take milliseconds."""

PATIENCE = Patience(run_s=4.0, return_s=3.0, cool_s=1.0, poll_s=0.1)


@contextmanager
def phones(server: AdbServer, *each: dict[str, Any]) -> Iterator[list[EmulatedDevice]]:
    """Switches phones on, connects them, and forgets them at the end."""
    with ExitStack() as stack:
        devices = [stack.enter_context(EmulatedDevice(**options)) for options in each]
        for device in devices:
            server.connect(device.serial)
        try:
            yield devices
        finally:
            for device in devices:
                server.run("disconnect", device.serial, check=False)


def meters(binary: str) -> Meters:
    """Meters that are quick to give a phone up."""
    return Meters([binary], PATIENCE)
