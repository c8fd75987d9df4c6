"""The GPU adapter behind LiteRT's GPU accelerator, and what the accelerator says of models in the process's log.

The accelerator has no call that names its adapter, or the operators that it leaves: it prints them. Its words are those
of `ai-edge-litert` 2.3; where one of them is missed, nothing is measured.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SELECTED = re.compile(
    r"Selected adapter: (?P<name>.*?), arch=.*?, vendor=.*?, backend=(?P<backend>\w+), adapterType=(?P<kind>.*?)\s*$",
    re.MULTILINE,
)
_SOFTWARE = re.compile("cpu|software", re.IGNORECASE)
_LEFT = re.compile(r"Following operations are not supported by GPU delegate:\n(?P<lines>(?:.+: .+\n)+)")
_NONE_TAKEN = "No operations will run on the GPU"
_NO_ACCELERATOR = "GPU accelerator could not be loaded and registered"
_NO_ADAPTER = re.compile(r"No (?:supported )?adapters(?: found)?")
_OBJECTION = re.compile(r"^(?:ERROR|E\d{4}|Warning|error):? (?:\[[^\]]*\] )?(.*)$", re.MULTILINE)

SOFTWARE, HARDWARE = "software", "hardware"
_KIND_KEY, _DELEGATION_KEY = "driver_kind", "delegation"
_PARTIAL = "partial, the rest on the CPU"


@dataclass(frozen=True)
class Adapter:
    """What a GPU accelerator computes on.

    Attributes:
        name: as its driver says it.
        driver: name and version; `not known` where the driver does not say.
        backend: the programming interface, for example `Vulkan`.
        kind: `software` where a driver computes on the CPU, else `hardware`.
    """

    name: str
    driver: str
    backend: str
    kind: str

    def __str__(self) -> str:
        return f"{self.name} ({self.driver}{', ' + SOFTWARE if self.kind == SOFTWARE else ''})"

    def fingerprint(self, allows_partial: bool) -> dict[str, str | int]:
        """The adapter's part of what readings depend on, and whether all of a model ran there."""
        return {
            "adapter": self.name,
            "driver": self.driver,
            "backend": self.backend,
            _KIND_KEY: self.kind,
            _DELEGATION_KEY: _PARTIAL if allows_partial else "full",
        }


def is_software(fingerprint: Mapping[str, str | int]) -> bool:
    """Whether the device of a fingerprint is a GPU that a driver plays on the CPU."""
    return fingerprint.get(_KIND_KEY) == SOFTWARE


def remarks(target: object, fingerprint: Mapping[str, str | int]) -> list[str]:
    """Sentences for readers of milliseconds that are not, or not all, a GPU's."""
    sentences = []
    if is_software(fingerprint):
        sentences.append(f"{target}: {fingerprint['adapter']} is a software driver; these milliseconds are no GPU's.")
    if fingerprint.get(_DELEGATION_KEY) == _PARTIAL:
        sentences.append(f"{target}: what the GPU does not take ran on the CPU, as allow_partial=true asks for.")
    return sentences


def selected_adapter(log: str, drivers: Mapping[str, str]) -> Adapter | None:
    """The adapter that the accelerator says it took, or None.

    Args:
        log: of the process, from the first model on.
        drivers: of all devices, by their names.
    """
    found = _SELECTED.search(log)
    if not found:
        return None
    kind = SOFTWARE if _SOFTWARE.search(found["kind"]) else HARDWARE
    return Adapter(found["name"], drivers.get(found["name"], "not known"), found["backend"], kind)


def left_operators(log: str) -> tuple[str, ...]:
    """Operators that the GPU does not take, each with the accelerator's reason."""
    return tuple(line for found in _LEFT.finditer(log) for line in dict.fromkeys(found["lines"].splitlines()))


def takes_nothing(log: str) -> bool:
    """Whether the GPU takes none of a model's operators."""
    return _NONE_TAKEN in log


def why_unusable(log: str) -> str:
    """Why nothing at all can be run on a GPU here, and what would help."""
    if _NO_ACCELERATOR in log:
        return (
            "LiteRT's GPU accelerator is missing from this installation; ai-edge-litert's wheels for Linux on x86_64 "
            "hold it (libLiteRtWebGpuAccelerator.so)"
        )
    if _NO_ADAPTER.search(log):
        return (
            f"there is no GPU adapter that LiteRT's GPU accelerator takes ({last_objection(log)}); install libvulkan1 "
            "and the GPU's Vulkan driver, or name a driver's .json in VK_DRIVER_FILES"
        )
    return f"LiteRT's GPU accelerator runs nothing here: {last_objection(log)}"


def last_objection(log: str) -> str:
    """The accelerator's own words, the most telling of them."""
    objections = [line for line in _OBJECTION.findall(log) if "XDG_RUNTIME_DIR" not in line]
    telling = [line for line in objections if line.startswith(("Vulkan ", "vkCreateInstance", "Couldn't"))]
    return (telling or objections or ["it says nothing"])[-1].strip()
