"""Where latency is measured: device, delegate, threads, and options of the delegate or the tool."""

import re
from dataclasses import dataclass, replace

from tflite_bench.errors import UserError

GRAMMAR = "host/cpu:1, host/gpu, benchmark_model/cpu:1, android/cpu:1, android/gpu or android:SERIAL/gpu,backend=cl"
ALLOW_PARTIAL, PRECISION = "allow_partial", "precision"

_DEVICE = re.compile(r"(host|benchmark_model)|android(?::([^\s,]+))?")
_DELEGATE = re.compile(r"cpu:([1-9][0-9]{0,3})|gpu|nnapi")
_HOST_DELEGATES = {"host": ("cpu", "gpu"), "benchmark_model": ("cpu",)}
_HOST_GPU_OPTIONS = {ALLOW_PARTIAL: ("true", "false"), PRECISION: ("float32",)}
_OPTION = re.compile(r"([a-z][a-z0-9_]*)=([!-+\--~]+(?: +[!-+\--~]+)*)")  # printable ASCII but for commas


@dataclass(frozen=True)
class Target:
    """A place to measure on; `str(target)` is its text in budgets and messages.

    Attributes:
        device: `host` (this machine), `benchmark_model` (that tool on this machine) or `android`.
        delegate: `cpu`, `gpu` or `nnapi`.
        threads: of the CPU.
        serials: the phones, all of one kind; empty for the only one that is connected.
        options: key and value, in the order in which they were written.
    """

    device: str
    delegate: str
    threads: int = 1
    serials: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        device = ":".join([self.device, "+".join(self.serials)] if self.serials else [self.device])
        delegate = f"cpu:{self.threads}" if self.delegate == "cpu" else self.delegate
        return ",".join([f"{device}/{delegate}", *(f"{key}={value}" for key, value in self.options)])

    @property
    def kind(self) -> str:
        """The target as latency tables know it: whichever phone it was, its fingerprint says what it is."""
        return str(replace(self, serials=(), options=tuple(sorted(self.options))))

    @property
    def profiles_layers(self) -> bool:
        """Whether layers are timed inside whole networks, by operator profiles, and not as one-layer models."""
        return self.option("layers") == "profile"

    @property
    def cores(self) -> tuple[int, ...] | None:
        """The cores that the option `cores` asks for, a mask as `taskset` reads it; None where it was not given."""
        mask = self.option("cores")
        return None if mask is None else tuple(core for core in range(4 * len(mask)) if int(mask, 16) >> core & 1)

    def option(self, key: str) -> str | None:
        """The value of an option, or None where it was not given."""
        return dict(self.options).get(key)


def parse_target(text: str) -> Target:
    """Reads a target such as `host/cpu:1` or `android:SERIAL/gpu,backend=cl`.

    A serial ends at the last `/` before the delegate; it may hold colons, but no blanks, commas or `+`.

    Raises:
        UserError: the text names no target that can be measured.
    """
    place, *written = text.split(",")
    device_text, _, delegate_text = place.rpartition("/")
    device, delegate = _DEVICE.fullmatch(device_text), _DELEGATE.fullmatch(delegate_text)
    if not device or not delegate:
        raise UserError(f"unknown target {text!r}; it should read {GRAMMAR}")
    serials = tuple(device[2].split("+")) if device[2] else ()
    if not all(serials) or len(set(serials)) < len(serials) or not all(map(str.isprintable, serials)):
        raise UserError(f"target {text!r}: serials should read SERIAL or SERIAL+SERIAL, each named once")
    kind = delegate_text.partition(":")[0]
    if device[1] and kind not in _HOST_DELEGATES[device[1]]:
        known = ", ".join(f"{device[1]}/{name}" for name in ("cpu:1", *_HOST_DELEGATES[device[1]][1:]))
        raise UserError(f"target {text!r}: {device[1]} has no {kind}; it measures on {known}")
    matches = [_OPTION.fullmatch(option) for option in written]
    options = tuple((match[1], match[2]) for match in matches if match)
    if len(options) < len(written) or len(dict(options)) < len(options):
        raise UserError(f"target {text!r}: options should read key=value, each key once, without commas in the value")
    if device[1] == "host":
        _check_host_options(text, kind, options)
    return Target(device[1] or "android", kind, int(delegate[1] or 1), serials, tuple(options))


def _check_host_options(text: str, delegate: str, options: tuple[tuple[str, str], ...]) -> None:
    if options and delegate == "cpu":
        raise UserError(f"target {text!r}: host/cpu takes no options")
    for key, value in options:
        if value not in _HOST_GPU_OPTIONS.get(key, ()):
            known = ", ".join(f"{name}={' or '.join(values)}" for name, values in _HOST_GPU_OPTIONS.items())
            raise UserError(f"target {text!r}: {key}={value} is no option of host/gpu; it has {known}")
