"""Emulated phones as the tests of measuring use them: connected to an adb server of their own, quick to give up."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.emulated_android import AdbServer, EmulatedDevice
from tests.patience import soon
from tflite_bench.android import Patience
from tflite_bench.errors import MeasurementError
from tflite_bench.meters import Meters
from tflite_bench.reference import reference_network
from tflite_bench.timing import Job, Meter, Reading

QUICK = "min_secs=0,warmup_min_secs=0,warmup_runs=1"
"""Target options that let a run of the tool take milliseconds."""

CPU = f"android/cpu:1,{QUICK}"
GPU = f"android/gpu,{QUICK}"

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


def times(meter: Meter, models: Sequence[bytes]) -> list[Reading | MeasurementError]:
    """One start of the tool for each model, dealt to the places in turn."""
    jobs = [Job(model, loads=1, place=number) for number, model in enumerate(models)]
    answers = dict(meter.time_all(jobs))
    return [answers[position] for position in range(len(models))]


def sha256(model: bytes) -> str:
    return hashlib.sha256(model).hexdigest()


def remote_files(phone: EmulatedDevice) -> list[str]:
    """What lies where our folders do."""
    return [entry.name for entry in phone.files.local("/data/local/tmp").iterdir()]


def a_run_goes_on(phone: EmulatedDevice) -> bool:
    """Whether a run of the tool is under way within a few seconds: the next one of a batch takes a moment to begin."""
    return soon(lambda: any(run.end is None for run in phone.runs))


def all_runs_end(phone: EmulatedDevice) -> bool:
    """Whether no run of the tool goes on for more than a few seconds: what is killed takes a moment to die."""
    return soon(lambda: all(run.end is not None for run in phone.runs))


def layer_runs(phone: EmulatedDevice) -> list[str]:
    """Models of the finished runs, but for the reference network's and those that failed."""
    others = ("", sha256(reference_network()))
    return [run.model_sha256 for run in phone.runs if run.exit_status == 0 and run.model_sha256 not in others]
