"""What a phone says of itself: what it is, how hot it is, how much room it has; read from what its shell prints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PROPERTIES = (
    *("ro.product.manufacturer", "ro.product.model", "ro.soc.model", "ro.board.platform", "ro.hardware"),
    *("ro.build.version.release", "ro.build.id", "ro.build.version.security_patch", "ro.product.cpu.abilist"),
    "ro.product.cpu.abi",
)

FACTS_SCRIPT = f"""\
for name in {" ".join(_PROPERTIES)}; do echo "$name=$(getprop $name)"; done
for file in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq; do
    if [ -r "$file" ]; then echo "$file=$(cat "$file")"; fi
done
for policy in /sys/devices/system/cpu/cpufreq/policy[0-9]*; do
    if [ -r "$policy/related_cpus" ] && [ -r "$policy/cpuinfo_max_freq" ]; then
        echo "policy=$(cat "$policy/cpuinfo_max_freq") $(cat "$policy/related_cpus")"
    fi
done
echo "online=$(cat /sys/devices/system/cpu/online 2>/dev/null)"
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
echo "taskset=$(command -v taskset)"
"""
"""Prints what `read_facts` reads."""

_POLICY = re.compile(r"^policy=(\d+)((?: +\d+)+)\s*$", re.MULTILINE)
_CORE = re.compile(r"^.*/cpu(\d+)/cpufreq/cpuinfo_max_freq=(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """What a phone is.

    Attributes:
        model: manufacturer and model.
        soc: the system on a chip.
        android: version.
        build: its number and security patch.
        abis: what it runs, what it likes best first.
        core_khz: the highest frequency of every core, switched off or not, by its number; empty where the phone does
            not tell.
        online: numbers of the cores that are switched on.
        has_taskset: whether processes can be pinned to cores.
        identity: of this very phone since it was started; empty where the phone does not tell. Never stored.
    """

    model: str
    soc: str
    android: str
    build: str
    abis: tuple[str, ...]
    core_khz: dict[int, int]
    online: frozenset[int]
    has_taskset: bool
    identity: str

    def fingerprint(self) -> dict[str, str | int]:
        """What makes phones of one kind; no serial, and nobody's name."""
        return {
            "model": self.model,
            "soc": self.soc,
            "android": self.android,
            "build": self.build,
            "core_mhz": " ".join(str(self.core_khz[core] // 1000) for core in sorted(self.core_khz)),
        }


@dataclass(frozen=True)
class Heat:
    """How hot a phone is; None for what it does not tell.

    Attributes:
        battery_c: degrees Celsius.
        thermal_status: Android's, from 0 (none) to 6 (shutdown).
    """

    battery_c: float | None
    thermal_status: int | None

    def __str__(self) -> str:
        parts = [] if self.battery_c is None else [f"battery {self.battery_c:.1f} degrees"]
        return ", ".join(parts + ([] if self.thermal_status is None else [f"thermal status {self.thermal_status}"]))

    def limits(self) -> tuple[float, int]:
        """What `is_above` compares this heat with."""
        return self.battery_c or 0.0, self.thermal_status or 0

    def is_above(self, battery_c: float, thermal_status: int) -> bool:
        """Whether the phone should cool down first."""
        return (self.battery_c or 0.0) > battery_c or (self.thermal_status or 0) > thermal_status


def state_script(folder: str) -> str:
    """Prints what `read_heat` and `read_free_bytes` read; `folder` is quoted for the shell."""
    return f"dumpsys battery\ndumpsys thermalservice\ndf -k {folder}\n:"


def read_facts(text: str) -> Facts:
    """Reads what `FACTS_SCRIPT` prints."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    properties = {name: said.get(name, "").strip() for name in _PROPERTIES}
    abis = properties["ro.product.cpu.abilist"] or properties["ro.product.cpu.abi"]
    soc = next(
        (properties[name] for name in ("ro.soc.model", "ro.board.platform", "ro.hardware") if properties[name]), ""
    )
    core_khz = _core_khz(text)
    return Facts(
        model=f"{properties['ro.product.manufacturer']} {properties['ro.product.model']}".strip() or "unknown",
        soc=soc or "unknown",
        android=properties["ro.build.version.release"] or "unknown",
        build=f"{properties['ro.build.id']} {properties['ro.build.version.security_patch']}".strip() or "unknown",
        abis=tuple(abi for abi in abis.split(",") if abi),
        core_khz=core_khz,
        online=_ranges(said.get("online", "")) or frozenset(core_khz),
        has_taskset=bool(said.get("taskset", "").strip()),
        identity=said.get("boot_id", "").strip(),
    )


def _core_khz(text: str) -> dict[int, int]:
    """By cluster, which tells of cores that are switched off too; else core by core."""
    of_clusters = {int(core): int(khz) for khz, cores in _POLICY.findall(text) for core in cores.split()}
    return dict(sorted((of_clusters or {int(core): int(khz) for core, khz in _CORE.findall(text)}).items()))


def _ranges(text: str) -> frozenset[int]:
    """Numbers as the kernel lists them, for example `0-3,6`."""
    numbers = re.findall(r"(\d+)(?:-(\d+))?", text)
    return frozenset(core for first, last in numbers for core in range(int(first), int(last or first) + 1))


def read_heat(text: str) -> Heat:
    """Reads `dumpsys battery` (tenths of a degree) and `dumpsys thermalservice`."""
    battery = re.search(r"^\s*temperature: (-?\d+)", text, re.MULTILINE)
    status = re.search(r"Thermal Status: (\d+)", text)
    return Heat(int(battery[1]) / 10 if battery else None, int(status[1]) if status else None)


def read_free_bytes(text: str) -> int | None:
    """Reads `df -k`: what is available, or None where that cannot be made out."""
    rows = re.findall(r"^\S+\s+\d+\s+\d+\s+(\d+)\s+\d+%.*$", text, re.MULTILINE)
    return 1024 * int(rows[-1]) if rows else None


def big_cores(core_khz: dict[int, int], threads: int) -> tuple[int, ...]:
    """The fastest cores, one for each thread; of equals the ones with the highest numbers."""
    return tuple(sorted(sorted(core_khz, key=lambda core: (core_khz[core], core))[-threads:]))


def core_mask(cores: Sequence[int]) -> str:
    """Cores as `taskset` takes them: hexadecimal, one bit each."""
    return f"{sum(1 << core for core in cores):x}"
