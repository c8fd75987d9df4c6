"""A private adb server for tests: its own port, its own keys; the user's at port 5037 is left alone."""

import os
import shutil
import socket
import subprocess
import tempfile
from typing import Self

_TIMEOUT_SECONDS = 20


class AdbServer:
    """Starts an adb server in `with`, and kills it at the end.

    Attributes:
        environment: variables under which `adb` talks to this server.
    """

    def __init__(self) -> None:
        """Chooses a port.

        Raises:
            RuntimeError: there is no `adb` on this machine.
        """
        if shutil.which("adb") is None:
            raise RuntimeError("adb is not installed: these tests talk to it (Debian and Ubuntu: apt install adb)")
        self._home = tempfile.mkdtemp(prefix="adb-home-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ADB_")}
        for name in ("ANDROID_SERIAL", "ANDROID_ADB_SERVER_ADDRESS"):
            self.environment.pop(name, None)
        self.environment |= {"ANDROID_ADB_SERVER_PORT": str(port), "HOME": self._home, "TMPDIR": self._home}
        self.environment["ADB_MDNS"] = "0"

    def __enter__(self) -> Self:
        self.run("start-server")
        return self

    def __exit__(self, *_: object) -> None:
        self.run("kill-server", check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def run(
        self, *arguments: str, check: bool = True, timeout: float = _TIMEOUT_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Runs `adb` with these arguments.

        Raises:
            subprocess.CalledProcessError: it failed, and `check` is on.
        """
        return subprocess.run(
            ["adb", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=check,
            timeout=timeout,
        )

    def connect(self, serial: str) -> str:
        """`adb connect`; returns what it says, whose exit status means nothing."""
        return self.run("connect", serial, check=False).stdout.strip()

    def state(self, serial: str) -> str:
        """What `adb devices` says of a device; empty when it does not know it."""
        for line in self.run("devices").stdout.splitlines():
            name, _, state = line.partition("\t")
            if name == serial:
                return state
        return ""
