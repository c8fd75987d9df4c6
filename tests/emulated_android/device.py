"""An emulated Android phone that the real `adb` can be connected to.

What adb 29 (1.0.41) does when the phone vanishes: `adb shell` ends without a word and with exit status 0, though the
shell's own never came; `adb push` fails with 1. The phone is `offline` at once (`error: device offline`, status 1). The
server tries again every ten seconds, six times, and then forgets the phone (`device '…' not found`). Meanwhile
`adb connect` says `already connected` and, like `adb reconnect offline`, changes nothing; `adb disconnect` and then
`adb connect` brings the phone back in milliseconds.
"""

import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Self

from tests.emulated_android.adb_shell import ShellService
from tests.emulated_android.adb_sync import SyncService
from tests.emulated_android.adbd import AdbDaemon, Service, StreamClosedError
from tests.emulated_android.faults import Faults, Run, ToolFault
from tests.emulated_android.files import BOOT_ID, DeviceFiles
from tests.emulated_android.tool_door import ToolBuild, ToolDoor

PROPERTIES = {
    "ro.product.manufacturer": "Emulated",
    "ro.product.brand": "emulated",
    "ro.product.name": "emulated_phone",
    "ro.product.model": "Phone 3",
    "ro.product.device": "phone3",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
    "ro.soc.manufacturer": "QTI",
    "ro.soc.model": "SDM845",
    "ro.board.platform": "sdm845",
    "ro.hardware": "phone3",
    "ro.build.version.release": "12",
    "ro.build.version.sdk": "31",
    "ro.build.fingerprint": "emulated/emulated_phone/phone3:12/SP1A.210812.016/7679548:user/release-keys",
    "ro.serialno": "EMULATED0001",
}
CORE_KHZ = (1766400,) * 4 + (2803200,) * 4
_FEATURES = "shell_v2,stat_v2,ls_v2"


class EmulatedDevice:
    """A phone on a loopback port: `adb connect` to `serial`.

    Attributes:
        runs: every run of the tool, in order of their begin.
        pushes: path and size of every file that was pushed completely.
        shell_commands: every command, as the host sent it.
    """

    def __init__(
        self,
        properties: Mapping[str, str] | None = None,
        core_khz: Sequence[int] = CORE_KHZ,
        available_kb: int = 50_000_000,
        unauthorized: bool = False,
        gpu: bool | Literal["unsupported"] = False,
        gpu_partial: bool = False,
        gpu_fixed_ms: float = 0.5,
        *,
        shell_v2: bool = True,
        missing: Collection[str] = (),
        orphans_survive: bool = True,
        boot_id: str | None = None,
        second_port: bool = False,
        old_df: bool = False,
        offline_cores: Collection[int] = (),
    ) -> None:
        """Prepares a phone; `with` switches it on and off.

        Args:
            properties: what `getprop` says, over and above `PROPERTIES`.
            core_khz: highest frequency of every core.
            available_kb: free space of `/data`.
            unauthorized: nobody has tapped "allow USB debugging".
            gpu: whether the tool was built with the GPU delegate; `unsupported`: it knows the flag, says that the
                platform has no GPU and runs on the CPU.
            gpu_partial: the GPU takes a part of every graph.
            gpu_fixed_ms: what a run on the GPU costs beside the work.
            shell_v2: off: adbd is that of Android 5, whose shell is a terminal: both outputs in one, lines that end in
                CR LF, and no exit status; and whose banner names no features.
            missing: commands that the phone does not have.
            orphans_survive: when a stream or the connection closes, only the stream's shell gets SIGHUP, as from real
                adbd; what it has started lives on until it ends or is killed. Off: all of it is killed.
            boot_id: what the phone's kernel calls the time since it was switched on; None for an id of its own.
            second_port: whether the phone can be connected once more, as by USB and Wi-Fi: to `second_serial`.
            old_df: `df` is that of Android 5: sizes for people, no options, and every argument a path.
            offline_cores: cores that are switched off.
        """
        self.pushes: list[tuple[str, int]] = []
        self.shell_commands: list[str] = []
        self._properties = {**PROPERTIES, **(properties or {})}
        self._lock = threading.Lock()
        self._vanish_after_bytes: tuple[int, float | None] | None = None
        self._returning: threading.Timer | None = None
        self._faults = Faults()
        self._tool = ToolDoor(ToolBuild(gpu, gpu_partial, gpu_fixed_ms), self._faults, self.vanish)
        abis = self._properties["ro.product.cpu.abilist"].split(",")
        self.files = DeviceFiles(abis, self._tool.socket, missing, old_df)
        self._tool.files = self.files
        self._shell_v2 = shell_v2
        self._shell = ShellService(self.files, self.shell_commands.append, orphans_survive)
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        about = "".join(f"{name}={self._properties[name]};" for name in names)
        banner = f"device::{about}features={_FEATURES}" if shell_v2 else f"device::{about}"
        self._daemons = [AdbDaemon(banner, self._find_service, unauthorized) for _ in range(1 + second_port)]
        self.available_kb = available_kb
        self.files.write_sys(BOOT_ID, f"{boot_id or uuid.uuid4()}\n")
        self._write_properties()
        self._write_cores(core_khz, offline_cores)
        self.set_battery_temperature(285)
        self.set_thermal_status(0)
        self.set_thermal_zones({"cpu-0-0": 41000, "battery": 28500})

    def __enter__(self) -> Self:
        self._tool.open()
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        self.vanish()
        self._shell.switch_off()
        self._tool.close()
        self.files.remove()

    @property
    def serial(self) -> str:
        """What `adb connect` takes and `adb -s` calls the phone."""
        return f"127.0.0.1:{self._daemons[0].port}"

    @property
    def second_serial(self) -> str:
        """The same for the second port."""
        return f"127.0.0.1:{self._daemons[1].port}"

    @property
    def boot_id(self) -> str:
        """What the phone's kernel calls the time since it was switched on."""
        return self.files.local(BOOT_ID).read_text().strip()

    @property
    def connections(self) -> int:
        """How many times adb has connected."""
        return sum(daemon.connections for daemon in self._daemons)

    @property
    def runs(self) -> list[Run]:
        """Every run of the tool so far."""
        return self._tool.runs

    @property
    def masks(self) -> list[str]:
        """Every mask that `taskset` was given."""
        path = self.files.root / "state" / "masks"
        return path.read_text().split() if path.exists() else []

    @property
    def available_kb(self) -> int:
        """Free space of `/data`; at 0 the disk is full."""
        return self.files.available_kb

    @available_kb.setter
    def available_kb(self, kilobytes: int) -> None:
        self.files.available_kb = kilobytes
        self.files.set_state("available_kb", f"{kilobytes}\n")

    def set_battery_temperature(self, *tenths: int) -> None:
        """What `dumpsys battery` says, in tenths of a degree; of several, each query uses up one but the last."""
        self.files.set_state("battery_temperature", "".join(f"{value}\n" for value in tenths))

    def set_thermal_status(self, *statuses: int) -> None:
        """What `dumpsys thermalservice` says, from 0 (none) to 6 (shutdown); of several, as for the battery."""
        self.files.set_state("thermal_status", "".join(f"{value}\n" for value in statuses))

    def set_thermal_zones(self, millidegrees: Mapping[str, int]) -> None:
        """Temperatures under `/sys/class/thermal`, by type of zone."""
        for index, (kind, value) in enumerate(millidegrees.items()):
            folder = f"/sys/class/thermal/thermal_zone{index}"
            self.files.write_sys(f"{folder}/type", f"{kind}\n")
            self.files.write_sys(f"{folder}/temp", f"{value}\n")

    def fail(self, fault: ToolFault, model: bytes | str | None = None, run: int | None = None) -> None:
        """Lets runs of the tool go wrong.

        Args:
            fault: how.
            model: those of this model, given by its bytes or their sha256.
            run: the one of this number; with neither, all runs.
        """
        self._faults.add(fault, model, run)

    def slow_down(self, factor: float, from_run: int = 1) -> None:
        """Multiplies the times that the tool reports, from a run on: heat."""
        self._faults.slow_down(factor, from_run)

    def heal(self) -> None:
        """Takes back `fail`, `slow_down` and every vanishing that has not happened yet."""
        self._faults.clear()
        self._tool.vanish_in_run = self._tool.vanish_after_run = None
        with self._lock:
            self._vanish_after_bytes = None

    def vanish(self, away_s: float | None = None, reboot: bool = False) -> None:
        """Pulls the cable: connections break, shells hang up, nobody listens.

        The tool is none of the cable's business: if `orphans_survive`, a run that a shell has started goes on, and may
        still be there when the phone comes back. Only a tool that its shell has become, as by `adb shell TOOL`, dies.

        Args:
            away_s: when it comes back by itself, on the same port; None: only by `come_back`.
            reboot: everything that runs is killed, and there is another `boot_id`.
        """
        with self._lock:
            if self._returning is not None:
                self._returning.cancel()
            self._returning = None
            for daemon in self._daemons:
                daemon.drop()
            if away_s is not None:
                self._returning = threading.Timer(away_s, self.come_back)
                self._returning.daemon = True
                self._returning.start()
        if reboot:
            self.files.write_sys(BOOT_ID, f"{uuid.uuid4()}\n")  # who sees a run end sees the new boot
        self._shell.hang_up_all()
        if reboot:
            self._shell.kill_all()

    def come_back(self) -> None:
        """Plugs the cable in again."""
        for daemon in self._daemons:
            daemon.listen()

    def vanish_in_push(self, after_bytes: int, away_s: float | None = None) -> None:
        """Vanishes once the next pushes have brought so many bytes."""
        with self._lock:
            self._vanish_after_bytes = (after_bytes, away_s)

    def vanish_in_run(self, run: int, after_s: float = 0.05, away_s: float | None = None, reboot: bool = False) -> None:
        """Vanishes in the middle of a run, so long after its begin. As `vanish` says, the run may go on."""
        self._tool.vanish_in_run = (run, after_s, away_s, reboot)

    def vanish_after_run(self, run: int, away_s: float | None = None, reboot: bool = False) -> None:
        """Vanishes when a run has ended and written its files, before its shell hears of it."""
        self._tool.vanish_after_run = (run, away_s, reboot)

    def _find_service(self, name: str) -> Service | None:
        kind, _, argument = name.partition(":")
        kind, *options = kind.split(",")
        if options and not self._shell_v2:
            return None
        if kind == "sync":
            return SyncService(self.files, self._on_push_data, lambda *pushed: self.pushes.append(pushed))
        if kind in ("shell", "exec"):
            terminal = kind == "shell" and not self._shell_v2
            return lambda stream: self._shell.run(argument, stream, packets="v2" in options, terminal=terminal)
        return None

    def _on_push_data(self, size: int) -> None:
        with self._lock:
            if self._vanish_after_bytes is None:
                return
            left, away_s = self._vanish_after_bytes
            self._vanish_after_bytes = (left - size, away_s) if left > size else None
        if left <= size:
            self.vanish(away_s)
            raise StreamClosedError  # what has already come is lost with the rest

    def _write_properties(self) -> None:
        for name, value in self._properties.items():
            self.files.set_state(f"properties/{name}", f"{value}\n")
        lines = (f"[{name}]: [{value}]\n" for name, value in sorted(self._properties.items()))
        self.files.set_state("all_properties", "".join(lines))

    def _write_cores(self, core_khz: Sequence[int], offline: Collection[int]) -> None:
        online = [core for core in range(len(core_khz)) if core not in offline]
        self.files.set_state("online_cores", f"{sum(1 << core for core in online)}\n")
        folder = "/sys/devices/system/cpu"
        for name, cores in (("possible", range(len(core_khz))), ("present", range(len(core_khz))), ("online", online)):
            self.files.write_sys(f"{folder}/{name}", f"{_ranges(cores)}\n")
        for core, khz in enumerate(core_khz):
            self.files.write_sys(f"{folder}/cpu{core}/online", f"{int(core in online)}\n")
            if core in online:
                self.files.write_sys(f"{folder}/cpu{core}/cpufreq/cpuinfo_max_freq", f"{khz}\n")
                self.files.write_sys(f"{folder}/cpu{core}/cpufreq/scaling_max_freq", f"{khz}\n")
                self.files.write_sys(f"{folder}/cpu{core}/cpufreq/scaling_governor", "schedutil\n")
        for khz in set(core_khz):
            related = [core for core, other in enumerate(core_khz) if other == khz]
            policy = f"{folder}/cpufreq/policy{related[0]}"
            self.files.write_sys(f"{policy}/related_cpus", f"{' '.join(map(str, related))}\n")
            self.files.write_sys(f"{policy}/cpuinfo_max_freq", f"{khz}\n")


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as the kernel lists processors: `0-3,6`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
