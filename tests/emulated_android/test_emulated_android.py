"""The emulated phone, seen through the real adb."""

import re
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tensorflow.lite.profiling.proto import profiling_info_pb2  # litert's own collides with it

from tests.emulated_android import AdbServer, EmulatedDevice, ToolFault, fake_elf
from tests.patience import soon
from tflite_bench.reference import reference_network

_TOOL = "/data/local/tmp/bench/benchmark_model"
_FAST = "--num_threads=1 --num_runs=5 --min_secs=0 --warmup_runs=1 --warmup_min_secs=0"


_HANGING = f"""\
cd /data/local/tmp
{_TOOL} --graph=bench/m.tflite >log 2>&1 </dev/null &
echo $! >pid
wait $!
: >shell-ended
"""


@pytest.fixture(scope="module")
def adb() -> Iterator[AdbServer]:
    with AdbServer() as server:
        yield server


@pytest.fixture
def device(adb: AdbServer) -> Iterator[EmulatedDevice]:
    with EmulatedDevice() as phone:
        adb.connect(phone.serial)
        yield phone
        adb.run("disconnect", phone.serial)


@contextmanager
def _connected(adb: AdbServer, **options: Any) -> Iterator[EmulatedDevice]:
    with EmulatedDevice(**options) as phone:
        adb.connect(phone.serial)
        yield phone
        adb.run("disconnect", phone.serial)


def _reconnect(adb: AdbServer, device: EmulatedDevice) -> None:
    """Connects anew, and sees that it holds: on a busy machine the server once lost a phone that had just come back."""
    adb.run("disconnect", device.serial, check=False)

    def is_connected() -> bool:
        adb.connect(device.serial)
        return adb.state(device.serial) == "device"

    assert soon(is_connected)


def _shell(adb: AdbServer, device: EmulatedDevice, command: str, timeout: float = 20) -> tuple[int, str, str]:
    done = adb.run("-s", device.serial, "shell", command, check=False, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def _push(adb: AdbServer, device: EmulatedDevice, local: Path, data: bytes, to: str) -> tuple[int, str]:
    local.write_bytes(data)
    done = adb.run("-s", device.serial, "push", str(local), to, check=False)
    return done.returncode, done.stdout + done.stderr


def _install(adb: AdbServer, device: EmulatedDevice, folder: Path, elf: bytes | None = None) -> None:
    assert _push(adb, device, folder / "benchmark_model", elf or fake_elf(), _TOOL)[0] == 0
    assert _push(adb, device, folder / "m.tflite", reference_network(), "/data/local/tmp/bench/m.tflite")[0] == 0
    assert _shell(adb, device, f"chmod 755 {_TOOL}")[0] == 0


def _run(adb: AdbServer, device: EmulatedDevice, flags: str = "") -> tuple[int, str, str]:
    return _shell(adb, device, f"{_TOOL} --graph=/data/local/tmp/bench/m.tflite {_FAST} {flags}")


def _wait_for(adb: AdbServer, device: EmulatedDevice, state: str) -> None:
    assert soon(lambda: adb.state(device.serial) == state), adb.state(device.serial)


def _wait_for_end(device: EmulatedDevice) -> None:
    assert soon(lambda: device.runs[0].end is not None)


def test_shell_keeps_exit_status_and_the_two_outputs_apart(adb, device):
    assert adb.state(device.serial) == "device"
    assert _shell(adb, device, "getprop ro.product.model") == (0, "Phone 3\n", "")
    assert _shell(adb, device, "getprop no.such.name") == (0, "\n", "")
    assert _shell(adb, device, "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")
    assert _shell(adb, device, "kill -11 $$")[0] == 139
    assert device.shell_commands[-1] == "kill -11 $$"


def test_phone_tells_of_its_cores_heat_and_disk(adb, device):
    device.set_battery_temperature(412, 388, 301)
    temperatures = _shell(adb, device, "for i in 1 2 3 4; do dumpsys battery | grep temperature; done")[1]
    assert re.findall(r"temperature: (\d+)", temperatures) == ["412", "388", "301", "301"]
    assert "Thermal Status: 0\n" in _shell(adb, device, "dumpsys thermalservice")[1]
    frequencies = _shell(adb, device, "cat /sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq")[1].split()
    assert frequencies == ["1766400"] * 4 + ["2803200"] * 4
    device.available_kb = 1234
    assert _shell(adb, device, "df /data/local/tmp")[1].splitlines()[1].split()[3] == "1234"


def test_files_come_back_as_they_went(adb, device, tmp_path):
    for name, data in (("empty", b""), ("small", b"a\0b\n"), ("large", bytes(range(256)) * 4000), ("elf", fake_elf())):
        assert _push(adb, device, tmp_path / name, data, f"/data/local/tmp/new/{name}")[0] == 0
        adb.run("-s", device.serial, "pull", f"/data/local/tmp/new/{name}", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == data
    assert [path for path, _ in device.pushes] == [
        f"/data/local/tmp/new/{n}" for n in ("empty", "small", "large", "elf")
    ]
    code, output = _push(adb, device, tmp_path / "small", b"", "/system/small")
    assert code == 1
    assert "Permission denied" in output


def test_output_names_paths_of_the_phone(adb, device):
    assert _shell(adb, device, "cd /data/local/tmp && mkdir a && pwd && echo $PWD/a")[1] == (
        "/data/local/tmp\n/data/local/tmp/a\n"
    )


def test_tool_reports_in_log_and_protobuf_and_is_logged(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    files = "--result_file_path=/data/local/tmp/bench/r.pb --enable_op_profiling=true"
    files += " --op_profiling_output_mode=proto --op_profiling_output_file=/data/local/tmp/bench/p.pb"
    code, log, errors = _shell(
        adb, device, f"cd /data/local/tmp/bench; taskset f0 ./benchmark_model --graph=m.tflite {_FAST} {files}"
    )
    assert code == 0
    assert errors == "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
    median = re.findall(r"count=5 .*median=(\d+)", log)
    assert len(median) == 1
    for name in ("r.pb", "p.pb"):
        adb.run("-s", device.serial, "pull", f"/data/local/tmp/bench/{name}", str(tmp_path / name))
    result = (tmp_path / "r.pb").read_bytes()
    assert result[0] == 0x12
    assert b"\x2d" + struct.pack("<f", int(median[0]) / 1000) in result
    data = profiling_info_pb2.BenchmarkProfilingData.FromString((tmp_path / "p.pb").read_bytes())
    nodes = data.runtime_profile.subgraph_profiles[0].per_op_profiles
    assert [node.name for node in nodes] == [f"Delegate/Fully Connected (NC, F32) GEMM:{i}" for i in range(4)]
    assert all(node.inference_microseconds.count == 5 for node in nodes)
    (run,) = device.runs
    assert (run.number, run.mask, run.exit_status) == (1, "f0", 0)
    assert run.argv[1] == "--graph=m.tflite"
    assert run.end is not None
    assert run.begin < run.end


def test_tool_built_without_gpu_says_so_in_one_warning_only(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    code, log, _ = _run(adb, device, "--use_gpu=true")
    assert code == 0
    assert "WARN: Unconsumed cmdline flags: --use_gpu=true\n" in log
    code, _, errors = _run(adb, device, "--help")
    assert code == 1
    assert errors.startswith("ERROR: usage: benchmark_model <flags>\nFlags:\n\t--num_runs=50 ")
    assert errors.endswith("ERROR: Benchmarking failed.\n")


def test_gpu_costs_something_for_itself(adb, tmp_path):
    with EmulatedDevice(gpu=True, gpu_fixed_ms=3) as phone:
        adb.connect(phone.serial)
        _install(adb, phone, tmp_path)
        code, log, errors = _run(adb, phone, "--use_gpu=true")
        assert code == 0
        assert "INFO: Created 1 GPU delegate kernels.\n" in errors
        assert "the model graph will be completely executed by the delegate." in log
        assert int(re.findall(r"min=(\d+)", log)[-1]) >= 3000
        adb.run("disconnect", phone.serial)


@pytest.mark.parametrize(
    ("gpu", "words"),
    [("unsupported", "WARN: GPU acceleration is unsupported on this platform."), (True, "w/ 2 delegate kernels.")],
)
def test_gpu_that_the_platform_lacks_and_gpu_that_takes_a_part(adb, tmp_path, gpu, words):
    with EmulatedDevice(gpu=gpu, gpu_partial=True) as phone:
        adb.connect(phone.serial)
        _install(adb, phone, tmp_path)
        code, log, _ = _run(adb, phone, "--use_gpu=true")
        assert code == 0
        assert words in log
        code, _, errors = _run(adb, phone, "--use_gpu=true --require_full_delegation=true")
        assert code == 1
        assert "ERROR: Disallowed CPU fallback detected.\n" in errors
        adb.run("disconnect", phone.serial)


def test_killing_adb_shell_hangs_up_the_tool_that_the_shell_has_become(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    device.fail(ToolFault.HANG)
    with pytest.raises(subprocess.TimeoutExpired):
        _shell(adb, device, f"{_TOOL} --graph=/data/local/tmp/bench/m.tflite", timeout=0.5)
    _wait_for_end(device)
    assert device.runs[0].exit_status == 137


def test_tool_that_a_shell_has_started_outlives_adb_shell_until_it_is_killed(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    device.fail(ToolFault.HANG)
    with pytest.raises(subprocess.TimeoutExpired):
        _shell(adb, device, _HANGING, timeout=0.5)
    device.vanish()
    time.sleep(0.1)
    assert device.runs[0].end is None
    device.come_back()
    _reconnect(adb, device)
    assert _shell(adb, device, "ls /data/local/tmp/shell-ended")[0] != 0
    assert _shell(adb, device, "kill -9 $(cat /data/local/tmp/pid)") == (0, "", "")
    _wait_for_end(device)
    assert device.runs[0].exit_status == 137


def test_tool_that_a_shell_has_started_ends_with_it_where_orphans_do_not_survive(adb, tmp_path):
    with _connected(adb, orphans_survive=False) as phone:
        _install(adb, phone, tmp_path)
        phone.fail(ToolFault.HANG)
        with pytest.raises(subprocess.TimeoutExpired):
            _shell(adb, phone, _HANGING, timeout=0.5)
        _wait_for_end(phone)


def test_reboot_ends_everything_and_begins_another_boot(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    device.fail(ToolFault.HANG)
    before = device.boot_id
    device.vanish_in_run(1, reboot=True)
    _shell(adb, device, _HANGING)
    _wait_for_end(device)
    assert soon(lambda: device.boot_id != before)


def test_switching_off_ends_what_has_left_its_session(adb, tmp_path):
    with _connected(adb) as phone:
        _install(adb, phone, tmp_path)
        phone.fail(ToolFault.HANG)
        _shell(adb, phone, f"setsid nohup {_TOOL} --graph=/data/local/tmp/bench/m.tflite >/dev/null 2>&1 &")
        assert soon(lambda: bool(phone.runs))
        assert phone.runs[0].end is None
    assert phone.runs[0].exit_status == 137


def test_old_adbd_has_a_terminal_and_no_exit_status(adb, tmp_path):
    with _connected(adb, shell_v2=False) as phone:
        command = ["adb", "-s", phone.serial, "shell", "echo out; echo err >&2; exit 7"]
        done = subprocess.run(command, env=adb.environment, capture_output=True, check=True, timeout=20)
        assert (done.stdout, done.stderr) == (b"out\r\nerr\r\n", b"")
        assert adb.run("-s", phone.serial, "features").stdout.strip() == ""
        assert _push(adb, phone, tmp_path / "file", b"a\n", "/data/local/tmp/file")[0] == 0
        assert _shell(adb, phone, "wc -c < /data/local/tmp/file")[1] == "2\n"  # by now without the CR
        assert adb.run("-s", phone.serial, "exec-out", "cat /data/local/tmp/file").stdout == "a\n"


def test_commands_may_be_missing(adb, tmp_path):
    with _connected(adb, missing={"base64", "taskset"}) as phone:
        assert _shell(adb, phone, "command -v taskset base64")[1] == ""
        code, output, errors = _shell(adb, phone, "base64 /data/local/tmp/file")
        assert (code, output) == (127, "")
        assert errors.endswith("base64: not found\n")
        assert _shell(adb, phone, "getprop ro.product.model; ls /data/local/tmp | wc -l")[1] == "Phone 3\n0\n"


def test_one_phone_has_two_serials_and_one_boot(adb):
    with _connected(adb, second_port=True) as phone, _connected(adb) as other:
        adb.connect(phone.second_serial)
        question = ("shell", "cat /proc/sys/kernel/random/boot_id")
        answers = [
            adb.run("-s", serial, *question).stdout for serial in (phone.serial, phone.second_serial, other.serial)
        ]
        assert answers[0] == answers[1] == f"{phone.boot_id}\n"
        assert answers[2] == f"{other.boot_id}\n" != answers[0]
        adb.run("disconnect", phone.second_serial)
    with _connected(adb, boot_id="the-same") as one, _connected(adb, boot_id="the-same") as two:
        assert one.boot_id == two.boot_id == "the-same"


def test_old_df_has_sizes_for_people_and_no_options(adb):
    with _connected(adb, old_df=True, available_kb=8_178_892) as phone:
        code, output, errors = _shell(adb, phone, "df -k /data/local/tmp; echo; df")
        header = "Filesystem               Size     Used     Free   Blksize\n"
        sizes = "   109.9G   102.1G     7.7G   4096\n"
        assert output == f"{header}/data/local/tmp     {sizes}\n{header}/data               {sizes}"
        assert (code, errors) == (0, "-k: No such file or directory\n")


def test_cores_may_be_offline(adb):
    cpu = "/sys/devices/system/cpu"
    with _connected(adb, offline_cores={4, 6, 7}) as phone:
        assert _shell(adb, phone, f"cat {cpu}/present {cpu}/online")[1] == "0-7\n0-3,5\n"
        there = _shell(adb, phone, f"cd {cpu} && ls -d cpu?/cpufreq; ls -d cpu?")[1].split()
        assert there == [f"cpu{core}/cpufreq" for core in (0, 1, 2, 3, 5)] + [f"cpu{core}" for core in range(8)]
        assert _shell(adb, phone, f"cat {cpu}/cpufreq/policy*/*")[1] == "1766400\n0 1 2 3\n2803200\n4 5 6 7\n"
        assert _shell(adb, phone, "taskset d0 true") == (
            1,
            "",
            "taskset: failed to set 0's affinity: Invalid argument\n",
        )
        assert _shell(adb, phone, "taskset f0 true")[0] == 0


def test_the_newer_tool_has_another_log(adb, device, tmp_path):
    _install(adb, device, tmp_path, fake_elf(flavour="litert"))
    code, output, errors = _run(adb, device)
    assert (code, output) == (0, "")
    assert re.search(r"Inference \(avg\): +[\d.]+ ms \(5 runs\)\n", errors)
    code, _, errors = _run(adb, device, "--require_full_delegation")
    assert code == 134
    assert "Requesting full delegation and CPU acceleration are incompatible." in errors


def test_program_for_another_processor_cannot_be_executed(adb, device, tmp_path):
    _install(adb, device, tmp_path, fake_elf(machine=62))
    code, _, errors = _run(adb, device)
    assert code == 126
    assert errors == f"/system/bin/sh: {_TOOL}: not executable: 64-bit ELF file\n"


def test_faults_of_the_tool(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    device.fail(ToolFault.CRASH, run=1)
    device.fail(ToolFault.GARBAGE, run=2)
    device.fail(ToolFault.TRUNCATED, run=3)
    device.fail(ToolFault.NO_PROTOBUF, model=reference_network(), run=4)
    device.slow_down(1000, from_run=4)
    assert _run(adb, device)[0] == 139
    code, log, _ = _run(adb, device)
    assert code == 0
    assert "count" not in log
    code, log, _ = _run(adb, device)
    assert code == 0
    assert "count=5" in log
    assert "median" not in log.splitlines()[-1]
    code, log, _ = _run(adb, device, "--result_file_path=/data/local/tmp/bench/r.pb")
    assert code == 0
    assert int(re.findall(r"min=(\d+)", log)[-1]) > 10_000
    assert _shell(adb, device, "ls /data/local/tmp/bench/r.pb")[0] != 0
    assert [run.exit_status for run in device.runs] == [139, 0, 0, 0]


def test_nobody_allowed_debugging(adb):
    with EmulatedDevice(unauthorized=True) as phone:
        assert "failed to authenticate" in adb.connect(phone.serial)
        assert adb.state(phone.serial) == "unauthorized"
        adb.run("disconnect", phone.serial)


def test_full_disk(adb, device, tmp_path):
    device.available_kb = 0
    code, output = _push(adb, device, tmp_path / "file", bytes(100_000), "/data/local/tmp/file")
    assert code == 1
    assert "No space left on device" in output
    assert device.pushes == []


def test_vanishes_in_a_run_and_comes_back(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    device.fail(ToolFault.HANG)
    device.vanish_in_run(1, away_s=0.2)
    assert "avg" not in _run(adb, device)[1]
    _wait_for(adb, device, "offline")
    time.sleep(0.3)
    assert device.runs[0].exit_status == 137
    _reconnect(adb, device)
    assert _shell(adb, device, "echo back")[1] == "back\n"
    assert device.connections >= 2


def test_vanishes_in_a_push_and_between_runs(adb, device, tmp_path):
    _install(adb, device, tmp_path)
    device.vanish_in_push(100_000)
    assert _push(adb, device, tmp_path / "file", bytes(1_000_000), "/data/local/tmp/file")[0] == 1
    assert len(device.pushes) == 2
    device.come_back()
    _reconnect(adb, device)
    device.vanish_after_run(2)
    loop = f"for i in 1 2 3; do {_TOOL} --graph=/data/local/tmp/bench/m.tflite {_FAST}; done"
    assert "all done" not in _shell(adb, device, f"{loop}; echo all done")[1]
    assert [run.exit_status for run in device.runs] == [0, 0]
    device.come_back()
