"""The device's files, kept in a private folder of this machine, and the paths that lead there.

Three folders of the device exist, `/data/local/tmp`, `/sys/devices/system/cpu` and `/sys/class/thermal`, and the file
with the boot's id. A program that is pushed and is for the device's processor is replaced by a script of the emulation;
`load` and `size`, and `sha256sum` and `md5sum` on the device, still see what was pushed.
"""

import errno
import hashlib
import os
import posixpath
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from tests.emulated_android import stand_ins

_FOLDERS = ("/data/local/tmp", "/sys/devices/system/cpu", "/sys/class/thermal")
BOOT_ID = "/proc/sys/kernel/random/boot_id"
PLACES = (*_FOLDERS, BOOT_ID)
_PLACE = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, PLACES))})(?![\w.-])")
_MACHINES = {"arm64-v8a": 183, "armeabi-v7a": 40, "armeabi": 40, "x86_64": 62, "x86": 3}
_COMMANDS = ("/usr/bin", "/bin")
_LITERT = b"flavour=litert"
_REPLACED = re.compile(rb"\A#![^\n]*\n# in place of ([0-9a-f]{64})\n")


def fake_elf(machine: int = 183, flavour: str = "tflite") -> bytes:
    """A file that passes for the program `benchmark_model`.

    Args:
        machine: the processor, as ELF counts them: 183 is arm64, 40 arm, 62 x86_64, 3 x86.
        flavour: whose tool of that name it is: `tflite` or `litert`.
    """
    bits = 2 if machine in (183, 62) else 1
    header = struct.pack("<4s5B7x2HI", b"\x7fELF", bits, 1, 1, 0, 0, 3, machine, 1)
    return header.ljust(64, b"\0") + f"flavour={flavour}".encode().ljust(4096, b"\0")


class DeviceFiles:
    """What is stored on the device.

    Attributes:
        root: the private folder; the device's `/`.
        environment: variables that commands get.
        available_kb: free space of `/data`; the largest push that succeeds.
    """

    def __init__(self, abis: list[str], tool_socket: str, missing: Collection[str] = (), old_df: bool = False) -> None:
        """Makes the folder.

        Args:
            abis: what the device can run, by Android's names, for example `arm64-v8a`.
            tool_socket: path of the socket where runs of the pushed program are announced.
            missing: commands that the device does not have; what is built into the shell cannot be missing.
            old_df: as in `EmulatedDevice`.
        """
        self.root = Path(tempfile.mkdtemp(prefix="android-")).resolve()
        self.available_kb = 0
        self._machines = {_MACHINES[abi] for abi in abis}
        self._tool_socket = tool_socket
        for folder in _FOLDERS:
            self.local(folder).mkdir(parents=True)
        for folder in ("bin", "state", "state/properties", "originals"):
            (self.root / folder).mkdir()
        for name, script in (stand_ins.SCRIPTS | ({"df": stand_ins.OLD_DF} if old_df else {})).items():
            if name not in missing:
                self._write(self.root / "bin" / name, script.encode(), 0o755)
        self.environment = {
            "PATH": f"{self.root / 'bin'}:{self._commands_without(missing) if missing else ':'.join(_COMMANDS)}",
            "HOME": "/",
            "TMPDIR": str(self.local(PLACES[0])),
            "ANDROID_ROOT": "/system",
            "DEVICE": str(self.root),
        }

    @property
    def available_bytes(self) -> int:
        """Free space of `/data` in bytes."""
        return self.available_kb * 1024

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.root, ignore_errors=True)

    def local(self, path: str) -> Path:
        """Where a path of the device is on this machine.

        Raises:
            PermissionError: outside what a shell user of the emulated device may see.
        """
        normal = posixpath.normpath(path)
        if not any(normal == place or normal.startswith(f"{place}/") for place in PLACES):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return self.root / normal.lstrip("/")

    def in_command(self, command: str) -> str:
        """The same command with paths of this machine."""
        return _PLACE.sub(lambda place: f"{self.root}{place[0]}", command)

    def on_device(self, text: str) -> str:
        """The same text with paths of the device."""
        return text.replace(str(self.root), "")

    def store(self, path: str, data: bytes, mode: int, mtime: int) -> None:
        """Writes a file as a push does; makes the folders that it needs."""
        local = self.local(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        if data[:4] == b"\x7fELF":
            digest = hashlib.sha256(data).hexdigest()
            self._write(self.root / "originals" / digest, data, 0o644)
            data = self._program(data, digest)
        self._write(local, data, mode)
        os.utime(local, (mtime, mtime))

    def load(self, path: str) -> bytes:
        """Reads a file as a pull does."""
        return self._original(self.local(path)).read_bytes()

    def size(self, local: Path) -> int:
        """Bytes of a file as they were pushed."""
        return self._original(local).stat().st_size if local.is_file() else local.lstat().st_size

    def set_state(self, name: str, text: str) -> None:
        """Writes what a stand-in (`getprop`, `dumpsys`, `df`) will say."""
        self._write(self.root / "state" / name, text.encode(), 0o644)

    def write_sys(self, path: str, text: str) -> None:
        """Writes a file of the kernel's."""
        local = self.local(path)
        local.parent.mkdir(parents=True, exist_ok=True)
        self._write(local, text.encode(), 0o444)

    def _commands_without(self, missing: Collection[str]) -> Path:
        """Makes a folder of links to this machine's commands, but for some."""
        folder = self.root / "commands"
        folder.mkdir()
        names = {name: place for place in reversed(_COMMANDS) for name in os.listdir(place)}
        for name, place in names.items():
            if name not in missing:
                os.symlink(f"{place}/{name}", folder / name)
        return folder

    def _original(self, local: Path) -> Path:
        with local.open("rb") as file:
            replaced = _REPLACED.match(file.read(512))
        return self.root / "originals" / replaced[1].decode() if replaced else local

    def _program(self, elf: bytes, digest: str) -> bytes:
        (machine,) = struct.unpack_from("<H", elf, 18)
        if machine not in self._machines:
            bits = 64 if elf[4] == 2 else 32
            return stand_ins.FOREIGN_PROGRAM.format(digest=digest, bits=bits).encode()
        flavour = "litert" if _LITERT in elf else "tflite"
        interpreter = getattr(sys, "_base_executable", sys.executable)
        return stand_ins.PROGRAM.format(
            python=interpreter, digest=digest, socket=self._tool_socket, flavour=flavour
        ).encode()

    def _write(self, local: Path, data: bytes, mode: int) -> None:
        """Writes beside and renames: a program that runs, or a stand-in that reads, keeps the old file."""
        beside = self.root / "state" / f".{os.getpid()}.{id(data)}"
        beside.write_bytes(data)
        beside.chmod(mode)
        beside.replace(local)
