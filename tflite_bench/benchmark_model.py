"""The tool `benchmark_model`: which binary it is, and the command line that asks it for a measurement.

Two tools bear the name: TensorFlow Lite's and LiteRT's newer one. `--help` tells them apart, and whether a binary has
what a target needs (flags: `tensorflow/lite/tools/delegates/`, `litert/tools/benchmark_litert_model.h`).
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflite_bench.benchmark_output import WantedDelegate
from tflite_bench.errors import UserError
from tflite_bench.target import Target
from tflite_bench.timing import Job

TFLITE, LITERT = "TensorFlow Lite benchmark_model", "LiteRT benchmark_model"

_MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86", 243: "riscv64"}
_FLAG = re.compile(r"^\s*--([a-z][a-z0-9_]*)=", re.MULTILINE)

_MIN_RUNS, _MIN_SECS, _MAX_SECS = 20, 0.1, 20.0
_WARM_UP_RUNS, _WARM_UP_SECS = 3, 0.1
_OWN_OPTIONS = ("xnnpack", "backend", "precision", "cores", "layers")
_RESERVED = (
    *("graph", "help", "dry_run", "list_signatures", "num_threads", "num_runs", "require_full_delegation"),
    *("stable_delegate_settings_file", "stable_delegate_loader_settings"),
    *("use_cpu", "use_gpu", "use_nnapi", "use_npu", "use_xnnpack", "use_hexagon", "use_coreml", "use_profiler"),
    *("gpu_backend", "gpu_precision_loss_allowed", "allow_fp16", "nnapi_allow_fp16"),
    *("result_file_path", "enable_op_profiling", "op_profiling_output_mode", "op_profiling_output_file"),
    *("profiling_output_csv_file", "benchmark_name", "output_prefix", "output_filepath", "output_proto_filepath"),
)
_BACKENDS = {TFLITE: ("cl", "gl"), LITERT: ("opencl", "opengl", "webgpu")}
_CHOICES = {
    "xnnpack": ("true", "false"),
    "precision": ("float16", "float32"),
    "layers": ("models", "profile"),
}


@dataclass(frozen=True)
class ToolBinary:
    """A binary of the tool, as the user has it.

    Attributes:
        path: the file.
        abi: Android's name of what it runs on; None for a script.
        sha256: of its bytes.
    """

    path: Path
    abi: str | None
    sha256: str


@dataclass(frozen=True)
class Tool:
    """The tool as it answers `--help`.

    Attributes:
        name: `TFLITE` or `LITERT`.
        flags: names of all flags that it knows.
    """

    name: str
    flags: frozenset[str]


@dataclass(frozen=True)
class ToolRun:
    """One start of the tool.

    Attributes:
        model: the `.tflite`.
        flags: its command line but for paths.
        result_flag: the flag that names the file of the result; empty where the tool has none.
        profile_flag: the flag that names the file of the operator profile; empty where none is wanted.
    """

    model: bytes
    flags: tuple[str, ...]
    result_flag: str = ""
    profile_flag: str = ""


def parse_tool_binary(text: str) -> ToolBinary:
    """Reads `[ABI:]PATH`, an ABI as Android calls it (`arm64-v8a`).

    Raises:
        UserError: no such file, or the file was built for another ABI than named.
    """
    named, separator, rest = text.partition(":")
    if not separator or named not in _MACHINES.values():
        named, rest = "", text
    path = Path(rest)
    try:
        content = path.read_bytes()
    except OSError as error:
        known = f"; ABIs are {', '.join(_MACHINES.values())}" if separator and not named else ""
        raise UserError(f"--benchmark_model={text}: {path} cannot be read ({error.strerror}){known}") from error
    is_elf = content[:4] == b"\x7fELF" and len(content) >= 20
    little = content[5:6] != b"\x02"
    machine = int.from_bytes(content[18:20], "little" if little else "big") if is_elf else None
    built_for = None if machine is None else _MACHINES.get(machine, f"ELF machine {machine}")
    if named and built_for not in (None, named):
        raise UserError(f"--benchmark_model={text}: {path} is built for {built_for}, not for {named}")
    return ToolBinary(path, built_for or named or None, hashlib.sha256(content).hexdigest())


def read_help(log: str, path: Path) -> Tool:
    """Which tool printed this answer to `--help`.

    Raises:
        UserError: it is neither.
    """
    flags = frozenset(_FLAG.findall(log))
    if {"graph", "enable_op_profiling"} <= flags:
        return Tool(TFLITE, flags)
    if {"graph", "use_profiler"} <= flags:
        return Tool(LITERT, flags)
    first = next((line for line in log.splitlines() if line.strip()), "nothing")
    raise UserError(f"{path} does not answer --help as TensorFlow Lite's or LiteRT's benchmark_model do: {first[:200]}")


def check_options(target: Target) -> None:
    """Sees that the target's options can be asked of the tool at all.

    Raises:
        UserError: an option with a value that it cannot have, that the delegate does not take, or that belongs to the
            measuring itself.
    """
    for key, value in target.options:
        if key in _RESERVED:
            raise UserError(
                f"target {target}: the flag {key} is set by the measuring itself; options of "
                f"its own are {', '.join(_OWN_OPTIONS)}"
            )
        if key in _CHOICES and value not in _CHOICES[key]:
            raise UserError(f"target {target}: {key} should be {' or '.join(_CHOICES[key])}")
        if key == "cores" and not re.fullmatch(r"[0-9a-f]{1,16}", value):
            raise UserError(f"target {target}: cores should be a mask as taskset reads it, for example cores=f0")
    on_cpu = target.delegate == "cpu"
    for key in ("backend", "precision") if on_cpu else ("xnnpack",):
        if target.option(key):
            raise UserError(f"target {target}: {key} is nothing that {target.delegate} has")
    if target.profiles_layers and (not on_cpu or target.option("external_delegate_path")):
        raise UserError(
            f"target {target}: a delegate is one node in the operator profile; layers=profile is for cpu targets"
        )


def measuring_run(tool: Tool, target: Target, job: Job) -> ToolRun:
    """One start of the tool that times a model.

    Raises:
        UserError: the binary lacks a flag that the target needs.
    """
    return ToolRun(job.tflite, _flags(tool, target, job.min_runs), _result_flag(tool))


def profiling_run(tool: Tool, target: Target, job: Job) -> ToolRun:
    """One start of the tool that times a model's operators.

    Raises:
        UserError: the binary lacks a flag that this needs.
    """
    if tool.name != TFLITE:
        raise UserError(f"layers=profile needs {TFLITE}; this is {tool.name}")
    if {"op_profiling_output_mode", "op_profiling_output_file"} <= tool.flags:
        wanted, profile_flag = ["op_profiling_output_mode=proto"], "op_profiling_output_file"
    else:
        wanted, profile_flag = [], "profiling_output_csv_file"
    flags = (*_flags(tool, target, job.min_runs), *_known(tool, target, ["enable_op_profiling=true", *wanted]))
    return ToolRun(job.tflite, flags, _result_flag(tool), profile_flag)


def wanted_delegate(tool: Tool, target: Target) -> WantedDelegate | None:
    """The delegate that the target asks for; None where that is up to the runtime, and the CPU's in any case.

    LiteRT's tool confirms nothing; asked for a GPU and no CPU, it fails where it would need the CPU.
    """
    says = tool.name == TFLITE
    if target.option("external_delegate_path"):
        return WantedDelegate("EXTERNAL", takes_all=True, is_confirmed=says)
    if target.delegate != "cpu":
        return WantedDelegate(target.delegate.upper(), takes_all=True, is_confirmed=says)
    if target.option("xnnpack") == "true":
        return WantedDelegate("XNNPACK", takes_all=False, is_confirmed=says)
    return None


def _flags(tool: Tool, target: Target, min_runs: int) -> tuple[str, ...]:
    times = {
        "num_runs": max(min_runs, _MIN_RUNS),
        "min_secs": _MIN_SECS,
        "max_secs": _MAX_SECS,
        "warmup_runs": _WARM_UP_RUNS,
        "warmup_min_secs": _WARM_UP_SECS,
    }
    given = {key: value for key, value in target.options if key not in _OWN_OPTIONS}
    plain = {"num_threads": target.threads, **{k: v for k, v in times.items() if k not in given}, **given}
    return _known(tool, target, [*(f"{key}={value}" for key, value in plain.items()), *_delegate_flags(tool, target)])


def _delegate_flags(tool: Tool, target: Target) -> list[str]:
    xnnpack, backend, precision = (target.option(key) for key in ("xnnpack", "backend", "precision"))
    if target.delegate == "cpu":
        full = ["require_full_delegation=true"] if target.option("external_delegate_path") else []
        return [*full, f"use_xnnpack={xnnpack}"] if xnnpack else full
    flags = [f"use_{target.delegate}=true", "require_full_delegation=true"]
    if tool.name == LITERT:
        flags.append("use_cpu=false")  # or it stops: its CPU and full delegation exclude each other
    if backend and backend not in _BACKENDS[tool.name]:
        raise UserError(f"target {target}: {tool.name} knows the backends {', '.join(_BACKENDS[tool.name])}")
    if backend:
        flags.append(f"gpu_backend={backend}")
    if precision:
        is_gpu_of_tflite = tool.name == TFLITE and target.delegate == "gpu"
        name = "gpu_precision_loss_allowed" if is_gpu_of_tflite else "allow_fp16"
        flags.append(f"{name}={'true' if precision == 'float16' else 'false'}")
    return flags


def _known(tool: Tool, target: Target, flags: Sequence[str]) -> tuple[str, ...]:
    for flag in flags:
        if flag.partition("=")[0] not in tool.flags:
            raise UserError(
                f"target {target}: this {tool.name} knows no --{flag}; another build of it may, or the target should "
                "not ask for it"
            )
    return tuple(f"--{flag}" for flag in flags)


def _result_flag(tool: Tool) -> str:
    return "result_file_path" if "result_file_path" in tool.flags else ""
