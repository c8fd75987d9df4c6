"""The Android debug bridge: the real `adb` client, for one device at a time.

What is run on a device is a script of ours; every word in it that is not ours is quoted for its shell. Exit statuses
travel inside the output, so that devices without the shell v2 protocol report them too.
"""

import contextlib
import re
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite_bench.errors import UserError

_LOST = re.compile(
    r"not found|no devices|offline|unauthorized|closed|protocol fault|couldn't read|Connection reset|Broken pipe"
    r"|connect failed|device still|EOF|cannot connect",
    re.IGNORECASE,
)
_FULL = "No space left on device"
_COMMAND_TIMEOUT_S = 60.0
_SLOWEST_BYTES_PER_S = 500_000
READY = "device"
"""How adb calls the state of a device that can be used."""

_CURES = {
    "unauthorized": "unlock it and allow this computer's key on its screen",
    "offline": "plug it in again, or run `adb reconnect offline`",
    "no permissions": "this user may not use its USB port; `adb devices` names the page that helps",
    "authorizing": "wait until it is ready",
    "connecting": "wait until it is ready",
    "recovery": "start Android on it",
    "sideload": "start Android on it",
    "bootloader": "start Android on it",
}


class AdbError(Exception):
    """An adb command that failed.

    Attributes:
        lost: whether the device, rather than the command, was the trouble.
    """

    def __init__(self, words: str, lost: bool) -> None:
        """Takes adb's own words, or ours where it said nothing."""
        super().__init__(words)
        self.lost = lost


@dataclass(frozen=True)
class Adb:
    """The adb client for one device.

    Attributes:
        serial: as `adb devices` lists it.
        timeout_s: after which a command is given up.
    """

    serial: str
    timeout_s: float = _COMMAND_TIMEOUT_S

    def shell(self, script: str) -> str:
        """Runs a script and returns what it printed on standard output.

        Raises:
            AdbError: it failed, or the device is gone.
        """
        token = secrets.token_hex(8)
        finished = self._run(["shell", f"{script}\necho {token} $?"])
        output, found, status = finished.stdout.decode(errors="replace").rpartition(token)
        words = finished.stderr.decode(errors="replace").strip()
        if not found:
            raise AdbError(words or "the shell ended early", lost=True)
        if status.strip() != "0":
            raise AdbError(words or f"exit status {status.strip()}", lost=False)
        return output.replace("\r\n", "\n")

    def push(self, files: Sequence[Path], folder: str) -> None:
        """Copies files into a folder of the device.

        Raises:
            AdbError: not all of them got there.
        """
        size = sum(file.stat().st_size for file in files)
        finished = self._run(["push", *map(str, files), folder], self.timeout_s + size / _SLOWEST_BYTES_PER_S)
        if finished.returncode:
            words = (finished.stderr + finished.stdout).decode(errors="replace")
            failures = [line for line in words.splitlines() if "error" in line or "failed" in line] or [words.strip()]
            lost = self.state() != READY or (_FULL not in failures[-1] and bool(_LOST.search(failures[-1])))
            raise AdbError(failures[-1], lost)

    def start(self, script: str) -> subprocess.Popen[bytes]:
        """Starts a script whose output is to be read while it runs."""
        return subprocess.Popen(
            [*_client(), "-s", self.serial, "shell", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def state(self) -> str:
        """`device` when it is ready, else what adb calls its state, or `missing`."""
        try:
            return _states().get(self.serial, ("missing", ""))[0]
        except AdbError:
            return "missing"

    def reconnect(self) -> None:
        """Asks for a device that is reached by network again; others come back by themselves.

        A server that has lost one says `already connected` to `connect` alone.
        """
        if ":" in self.serial:
            for command in ("disconnect", "connect"):
                with contextlib.suppress(AdbError):
                    _call([command, self.serial], self.timeout_s)

    def _run(self, arguments: Sequence[str], timeout_s: float | None = None) -> subprocess.CompletedProcess[bytes]:
        finished = _call(["-s", self.serial, *arguments], timeout_s or self.timeout_s)
        words = finished.stderr.decode(errors="replace").strip()
        if finished.returncode and arguments[0] != "push" and _LOST.search(words):
            raise AdbError(words.splitlines()[-1], lost=True)
        return finished


def choose_devices(serials: Sequence[str]) -> list[Adb]:
    """The devices that are asked for, or the only one that is connected.

    Args:
        serials: as `adb devices` lists them; empty for the only one.

    Raises:
        UserError: a device is missing or not ready, or several are connected and none was named.
    """
    try:
        states = _states()
    except AdbError as error:
        raise UserError(str(error)) from error
    listed = ", ".join(f"{serial} ({description or state})" for serial, (state, description) in states.items())
    if not serials:
        if not states:
            raise UserError(
                "no Android device is connected: plug one in, switch on USB debugging in its developer options, and "
                "see that `adb devices` lists it"
            )
        if len(states) > 1:
            raise UserError(f"several devices are connected: {listed}; name one, as in android:{min(states)}/cpu:1")
    for serial in serials or states:
        state = states.get(serial, ("missing", ""))[0]
        if state == "missing":
            raise UserError(f"device {serial} is not connected; connected are {listed or 'none'}")
        if state != READY:
            cure = next((cure for name, cure in _CURES.items() if state.startswith(name)), "see `adb devices`")
            raise UserError(f"device {serial} is {state}: {cure}")
    return [Adb(serial) for serial in serials or states]


def _states() -> dict[str, tuple[str, str]]:
    """State and model of every device that adb knows."""
    finished = _call(["devices", "-l"], _COMMAND_TIMEOUT_S)
    if finished.returncode:
        raise AdbError(f"`adb devices` failed: {finished.stderr.decode(errors='replace').strip()}", lost=True)
    states: dict[str, tuple[str, str]] = {}
    _, _, listed = finished.stdout.decode(errors="replace").partition("List of devices attached")
    for line in listed.splitlines():
        match = re.match(r"^(\S+)\s+(no permissions|[a-z]+)\b(.*)$", line)
        if match and not line.startswith("* "):
            model = re.search(r"model:(\S+)", match[3])
            states[match[1]] = (match[2], model[1].replace("_", " ") if model else "")
    return states


def _call(arguments: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [*_client(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AdbError(f"adb gave no answer within {timeout_s:g} s", lost=True) from error


def _client() -> list[str]:
    client = shutil.which("adb")
    if client is None:
        raise UserError("targets on android need the adb client, which is not installed (Debian: apt-get install adb)")
    return [client]
