import dataclasses
import hashlib
from pathlib import Path

import pytest

from tests.tflite_bench.tool_logs import read_log
from tflite_bench.benchmark_model import (
    LITERT,
    TFLITE,
    Tool,
    check_options,
    measuring_run,
    parse_tool_binary,
    profiling_run,
    read_help,
    wanted_delegate,
)
from tflite_bench.benchmark_output import WantedDelegate
from tflite_bench.errors import UserError
from tflite_bench.target import parse_target
from tflite_bench.timing import Job

JOB = Job(b"model")
HELP = read_log("48_help").combined
LITERT_FLAGS = (
    *("num_runs", "min_secs", "max_secs", "num_threads", "warmup_runs", "warmup_min_secs", "graph", "allow_fp16"),
    *("require_full_delegation", "result_file_path", "help", "use_cpu", "use_gpu", "use_npu", "gpu_backend"),
    "use_profiler",
)
LITERT_HELP = "ERROR: usage: benchmark_litert_model <flags>\nFlags:\n" + "".join(
    f"\t--{name}=false                     \tbool\toptional\twhat it does, see also --no_flag=1\n"
    for name in LITERT_FLAGS
)
GPU_BUILD = {"use_gpu", "gpu_backend", "gpu_precision_loss_allowed", "use_nnapi", "nnapi_allow_fp16"}
MACHINES = {"arm64-v8a": 183, "armeabi-v7a": 40, "x86_64": 62, "x86": 3, "riscv64": 243}


def tflite_tool() -> Tool:
    tool = read_help(HELP, Path("tool"))
    return dataclasses.replace(tool, flags=tool.flags | GPU_BUILD)


def litert_tool() -> Tool:
    return read_help(LITERT_HELP, Path("tool"))


def elf(machine: int, big_endian: bool = False) -> bytes:
    return (
        b"\x7fELF\x02"
        + (b"\x02" if big_endian else b"\x01")
        + bytes(12)
        + machine.to_bytes(2, "big" if big_endian else "little")
        + bytes(40)
    )


def flags_of(tool: Tool, target: str, job: Job = JOB) -> set[str]:
    flags = measuring_run(tool, parse_target(target), job).flags
    assert len({flag.partition("=")[0] for flag in flags}) == len(flags)
    return set(flags)


PLAIN = {"--num_runs=20", "--min_secs=0.1", "--max_secs=20.0", "--warmup_runs=3", "--warmup_min_secs=0.1"}


@pytest.mark.parametrize(("abi", "machine"), MACHINES.items())
def test_a_binary_says_what_it_is_built_for(tmp_path, abi, machine):
    path = tmp_path / "tool"
    path.write_bytes(elf(machine))
    binary = parse_tool_binary(str(path))
    assert (binary.path, binary.abi) == (path, abi)
    assert binary.sha256 == hashlib.sha256(elf(machine)).hexdigest()
    assert parse_tool_binary(f"{abi}:{path}") == binary


def test_a_binary_of_the_other_byte_order_is_read(tmp_path):
    (tmp_path / "tool").write_bytes(elf(183, big_endian=True))
    assert parse_tool_binary(str(tmp_path / "tool")).abi == "arm64-v8a"


def test_a_binary_of_a_machine_that_android_has_no_name_for(tmp_path):
    (tmp_path / "tool").write_bytes(elf(21))
    assert parse_tool_binary(str(tmp_path / "tool")).abi == "ELF machine 21"


def test_a_binary_that_is_built_for_another_abi_than_named_is_refused(tmp_path):
    (tmp_path / "tool").write_bytes(elf(40))
    with pytest.raises(UserError, match="built for armeabi-v7a, not for arm64-v8a"):
        parse_tool_binary(f"arm64-v8a:{tmp_path / 'tool'}")


@pytest.mark.parametrize("content", [b"#!/bin/sh\nexit 1\n", b"", b"\x7fELF", elf(183)[:19]])
def test_a_script_is_what_it_is_said_to_be(tmp_path, content):
    (tmp_path / "tool").write_bytes(content)
    assert parse_tool_binary(str(tmp_path / "tool")).abi is None
    assert parse_tool_binary(f"x86_64:{tmp_path / 'tool'}").abi == "x86_64"


@pytest.mark.parametrize(
    "text", ["missing", "arm64-v8a:missing", "arm64:missing", "C:\\tools\\missing", "", ".", "x86:"]
)
def test_a_binary_that_cannot_be_read_is_named(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--benchmark_model=.*cannot be read"):
        parse_tool_binary(text)


@pytest.mark.parametrize("name", ["C:\\tools\\benchmark_model", "arm64:tool", "a:b:c"])
def test_a_path_may_hold_colons(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(elf(62))
    assert parse_tool_binary(name).path == Path(name)
    assert parse_tool_binary(f"x86_64:{name}").path == Path(name)


def test_the_help_of_tensorflow_lite_is_known():
    tool = read_help(HELP, Path("tool"))
    assert tool.name == TFLITE
    assert {"graph", "num_runs", "op_profiling_output_mode", "use_xnnpack", "external_delegate_path"} <= tool.flags
    assert "use_gpu" not in tool.flags


def test_the_help_of_litert_is_known():
    assert litert_tool() == Tool(LITERT, frozenset(LITERT_FLAGS))


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize("text", [HELP, LITERT_HELP])
def test_line_ends_of_another_system_change_nothing(text, line_end):
    assert read_help(text.replace("\n", line_end), Path("tool")) == read_help(text, Path("tool"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("", "nothing"),
        ("\n\n", "nothing"),
        ("sh: ./tool: not executable: 64-bit ELF file\n", "64-bit ELF"),
        ("usage: ls [--graph]\n", "usage: ls"),
        ("\t--graph=\tstring\n\t--input_file=\tstring\n", "--graph"),
    ],
)
def test_what_is_neither_tool_is_refused_in_its_own_words(answer, words):
    with pytest.raises(UserError, match=f"tool does not answer --help as .*{words}"):
        read_help(answer, Path("tool"))


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        ("benchmark_model/cpu:1", set()),
        ("android/cpu:4", set()),
        ("android/cpu:1,xnnpack=true", {"--use_xnnpack=true"}),
        ("android/cpu:1,xnnpack=false,cores=f0,layers=profile", {"--use_xnnpack=false"}),
        ("android/gpu", {"--use_gpu=true", "--require_full_delegation=true"}),
        ("android/gpu,backend=cl", {"--use_gpu=true", "--require_full_delegation=true", "--gpu_backend=cl"}),
        (
            "android/gpu,precision=float16",
            {"--use_gpu=true", "--require_full_delegation=true", "--gpu_precision_loss_allowed=true"},
        ),
        (
            "android/gpu,precision=float32",
            {"--use_gpu=true", "--require_full_delegation=true", "--gpu_precision_loss_allowed=false"},
        ),
        ("android/nnapi", {"--use_nnapi=true", "--require_full_delegation=true"}),
        (
            "android/nnapi,precision=float16",
            {"--use_nnapi=true", "--require_full_delegation=true", "--allow_fp16=true"},
        ),
        (
            "android/cpu:1,external_delegate_path=/data/local/a.so",
            {"--external_delegate_path=/data/local/a.so", "--require_full_delegation=true"},
        ),
    ],
)
def test_tensorflow_lite_is_asked_for_what_the_target_says(target, flags):
    threads = {f"--num_threads={parse_target(target).threads}"}
    assert flags_of(tflite_tool(), target) == PLAIN | threads | flags


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        ("android/cpu:2", set()),
        ("android/gpu", {"--use_gpu=true", "--require_full_delegation=true", "--use_cpu=false"}),
        (
            "android/gpu,backend=webgpu,precision=float32",
            {
                *("--use_gpu=true", "--require_full_delegation=true", "--use_cpu=false"),
                *("--gpu_backend=webgpu", "--allow_fp16=false"),
            },
        ),
    ],
)
def test_litert_is_asked_for_what_the_target_says(target, flags):
    threads = {f"--num_threads={parse_target(target).threads}"}
    assert flags_of(litert_tool(), target) == PLAIN | threads | flags


def test_flags_of_the_target_override_ours():
    flags = flags_of(tflite_tool(), "android/cpu:1,min_secs=3,warmup_runs=0")
    assert {"--min_secs=3", "--warmup_runs=0", "--max_secs=20.0"} <= flags


def test_a_job_may_ask_for_more_runs():
    assert "--num_runs=500" in flags_of(tflite_tool(), "android/cpu:1", Job(b"", min_runs=500))


def test_a_run_names_its_files_by_the_flags_that_the_binary_has():
    target = parse_target("android/cpu:1")
    run = measuring_run(tflite_tool(), target, JOB)
    assert (run.model, run.result_flag, run.profile_flag) == (b"model", "result_file_path", "")
    old = dataclasses.replace(tflite_tool(), flags=tflite_tool().flags - {"result_file_path"})
    assert measuring_run(old, target, JOB).result_flag == ""


def test_a_profile_is_asked_for_as_a_protobuf_or_from_old_binaries_as_csv():
    target = parse_target("android/cpu:1,layers=profile")
    run = profiling_run(tflite_tool(), target, JOB)
    assert {"--enable_op_profiling=true", "--op_profiling_output_mode=proto"} <= set(run.flags)
    assert run.profile_flag == "op_profiling_output_file"
    old = dataclasses.replace(tflite_tool(), flags=tflite_tool().flags - {"op_profiling_output_mode"})
    run = profiling_run(old, target, JOB)
    assert run.profile_flag == "profiling_output_csv_file"
    assert not any("output_mode" in flag for flag in run.flags)


def test_litert_writes_no_profile_that_could_be_read():
    with pytest.raises(UserError, match="layers=profile needs TensorFlow Lite"):
        profiling_run(litert_tool(), parse_target("android/cpu:1,layers=profile"), JOB)


@pytest.mark.parametrize(
    ("tool", "target", "flag"),
    [
        (read_help(HELP, Path()), "android/gpu", "use_gpu"),
        (read_help(HELP, Path()), "android/nnapi", "use_nnapi"),
        (read_help(HELP, Path()), "android/cpu:1,hexagon_profiling=true", "hexagon_profiling"),
        (litert_tool(), "android/nnapi", "use_nnapi"),
        (litert_tool(), "android/cpu:1,xnnpack=true", "use_xnnpack"),
        (litert_tool(), "android/cpu:1,external_delegate_path=/a.so", "external_delegate_path"),
    ],
)
def test_a_flag_that_the_binary_lacks_is_named(tool, target, flag):
    with pytest.raises(UserError, match=f"target {target}: this .* knows no --{flag}="):
        measuring_run(tool, parse_target(target), JOB)


@pytest.mark.parametrize("flag", ["num_runs", "min_secs", "num_threads", "max_secs", "warmup_runs", "warmup_min_secs"])
def test_every_flag_of_ours_is_asked_of_the_binary(flag):
    tool = dataclasses.replace(tflite_tool(), flags=tflite_tool().flags - {flag})
    with pytest.raises(UserError, match=f"knows no --{flag}"):
        measuring_run(tool, parse_target("android/cpu:1"), JOB)


@pytest.mark.parametrize(
    ("tool", "target", "delegate"),
    [
        (tflite_tool(), "android/cpu:1", None),
        (tflite_tool(), "android/gpu", "GPU"),
        (tflite_tool(), "android/nnapi", "NNAPI"),
        (tflite_tool(), "android/cpu:1,external_delegate_path=/a.so", "EXTERNAL"),
        (litert_tool(), "android/gpu", WantedDelegate("GPU", takes_all=True, is_confirmed=False)),
        (tflite_tool(), "android/cpu:1,xnnpack=true", WantedDelegate("XNNPACK", takes_all=False, is_confirmed=True)),
    ],
)
def test_the_delegate_that_is_wanted(tool, target, delegate):
    if isinstance(delegate, str):
        delegate = WantedDelegate(delegate, takes_all=True, is_confirmed=True)
    assert wanted_delegate(tool, parse_target(target)) == delegate


@pytest.mark.parametrize(
    ("tool", "target"),
    [
        (tflite_tool(), "android/gpu,backend=opencl"),
        (tflite_tool(), "android/gpu,backend=nonsense"),
        (litert_tool(), "android/gpu,backend=cl"),
    ],
)
def test_a_backend_that_the_tool_does_not_know_is_refused(tool, target):
    with pytest.raises(UserError, match="knows the backends"):
        measuring_run(tool, parse_target(target), JOB)


def test_an_external_delegate_must_take_all():
    flags = measuring_run(tflite_tool(), parse_target("android/cpu:1,external_delegate_path=/a.so"), JOB).flags
    assert "--require_full_delegation=true" in flags


@pytest.mark.parametrize(
    "target",
    [
        "android/cpu:1,xnnpack=true,cores=f0,layers=profile",
        "benchmark_model/cpu:1,layers=models,min_secs=1,xnnpack_force_fp16=true",
        "android/gpu,backend=anything,precision=float16,layers=models",
        "android/nnapi,nnapi_accelerator_name=google-edgetpu",
    ],
)
def test_options_that_can_be_asked_for(target):
    check_options(parse_target(target))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        *((f"android/gpu,{flag}=1", f"flag {flag} is set by the measuring itself") for flag in ("graph", "use_gpu")),
        *((f"android/cpu:1,{flag}=1", f"flag {flag} is set") for flag in ("num_runs", "num_threads", "use_xnnpack")),
        *(
            (f"android/cpu:1,{flag}=/sdcard/x", f"flag {flag} is set")
            for flag in ("result_file_path", "output_filepath")
        ),
        ("android/gpu,require_full_delegation=false", "options of its own are xnnpack, backend, precision"),
        ("android/cpu:1,xnnpack=yes", "xnnpack should be true or false"),
        ("android/gpu,precision=float64", "precision should be float16 or float32"),
        ("android/cpu:1,layers=each", "layers should be models or profile"),
        ("android/cpu:1,cores=0xf0", "cores should be a mask"),
        ("android/cpu:1,cores=4-7", "cores should be a mask"),
        ("android/cpu:1,cores=F0", "cores should be a mask"),
        ("android/cpu:1,cores=" + "f" * 17, "cores should be a mask"),
        ("android/cpu:1,backend=cl", "backend is nothing that cpu has"),
        ("android/cpu:1,precision=float16", "precision is nothing that cpu has"),
        ("android/gpu,xnnpack=true", "xnnpack is nothing that gpu has"),
        ("android/nnapi,xnnpack=true", "xnnpack is nothing that nnapi has"),
        ("android/gpu,layers=profile", "layers=profile is for cpu targets"),
        ("android/nnapi,layers=profile", "layers=profile is for cpu targets"),
    ],
)
def test_options_that_cannot_be_asked_for_are_refused(target, words):
    with pytest.raises(UserError, match=words):
        check_options(parse_target(target))


def test_no_flag_that_decides_the_command_is_open_to_the_target():
    ours = {flag[2:].partition("=")[0] for flag in flags_of(tflite_tool(), "android/gpu,backend=cl,precision=float16")}
    times = {"min_secs", "max_secs", "warmup_runs", "warmup_min_secs"}
    for flag in ours - times:
        with pytest.raises(UserError, match="set by the measuring itself"):
            check_options(parse_target(f"android/gpu,{flag}=1"))


def test_a_folder_is_no_binary(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        parse_tool_binary(str(tmp_path))
