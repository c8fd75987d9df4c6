"""The tool on this machine: a script that answers like it, and once the stand-in that really runs the model."""

import os

import pytest

from tests.emulated_android import write_tool_for_this_machine
from tests.processes import has_ended
from tests.tflite_bench.phones import meters
from tests.tflite_bench.taking_turns import waits_for
from tests.tflite_bench.tool_logs import read_log
from tflite_bench.benchmark_model import measuring_run, parse_tool_binary
from tflite_bench.errors import MeasurementError, UserError
from tflite_bench.host_runner import HostRunner
from tflite_bench.locking import measuring_lock
from tflite_bench.reference import reference_network
from tflite_bench.target import parse_target
from tflite_bench.timing import Job, Pair, Reading
from tflite_bench.tool_meter import ToolMeter

TARGET = parse_target("benchmark_model/cpu:1")


@pytest.fixture
def script(tmp_path):
    """Makes a tool that answers --help as the real one, and anything else with the given shell commands."""

    def make(body: str) -> str:
        (tmp_path / "help").write_text(read_log("48_help").combined)
        (tmp_path / "log").write_text(read_log("01_default_t1").combined)
        path = tmp_path / "tool"
        path.write_text(f'#!/bin/sh\ncd {tmp_path}\nif [ "$1" = --help ]; then cat help; exit 1; fi\n{body}\n')
        path.chmod(0o755)
        return str(path)

    return make


def test_its_log_is_read(script):
    with meters(script("cat log")) as ways:
        [(_, answer)] = ways.of(TARGET).time_all([Job(b"a model", loads=1)])
    assert isinstance(answer, Reading)
    assert answer.latency_ms == 11.522


def test_it_waits_for_whoever_measures_on_this_machine(script):
    with meters(script("cat log")) as ways:
        meter = ways.of(TARGET)
        assert waits_for(measuring_lock(), lambda: list(meter.time_all([Job(b"a model", loads=1)])))


def test_the_middle_of_several_loads_counts(script):
    body = (
        'n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) >n\nsed "s/median=11522/median=$((100 * (n % 3 + 1)))/" log'
    )
    with meters(script(body)) as ways:
        [(_, answer)] = ways.of(TARGET).time_all([Job(b"a model", loads=3)])
    assert isinstance(answer, Reading)
    assert answer.latency_ms == 0.2


def test_a_failure_is_one_measurements(script):
    body = 'if [ -f ready ]; then echo "ERROR: no such luck"; exit 1; fi\ncat log\n: >ready'
    with meters(script(body)) as ways:
        [(_, answer)] = ways.of(TARGET).time_all([Job(b"a model", loads=1)])
    assert isinstance(answer, MeasurementError)
    assert "no such luck" in str(answer)


def test_a_hang_is_ended_with_all_that_it_started(script, tmp_path):
    runner = HostRunner(TARGET, [parse_tool_binary(script("sleep 600 & echo $! >child; wait"))], timeout_s=0.5)
    [(_, answer)] = runner.run_all([measuring_run(runner.tool, TARGET, Job(b"a model"))])
    runner.close()
    assert "no answer within 0.5 s" in str(answer)
    child = int((tmp_path / "child").read_text())
    assert has_ended(child)


def test_a_tool_for_another_machine_is_refused(tmp_path):
    foreign = tmp_path / "tool"
    foreign.write_bytes(b"\x7fELF\x02\x01" + bytes(12) + (8).to_bytes(2, "little") + bytes(44))
    with (
        meters(str(foreign)) as ways,
        pytest.raises(UserError, match=r"needs a benchmark_model built for .*ELF machine 8"),
    ):
        ways.of(TARGET)


def test_a_file_that_cannot_be_started_is_named(tmp_path):
    (tmp_path / "tool").write_text("no program")
    with (
        meters(str(tmp_path / "tool")) as ways,
        pytest.raises(UserError, match=r"tool cannot be started \(Permission denied\).*chmod"),
    ):
        ways.of(TARGET)


def test_too_many_threads_are_refused(script):
    with meters(script("cat log")) as ways, pytest.raises(UserError, match="9999 threads; this machine has"):
        ways.of(parse_target("benchmark_model/cpu:9999"))


def test_the_cores_are_those_of_the_mask(script):
    core = min(os.sched_getaffinity(0))
    with meters(script("cat log; taskset -p $$ >mask")) as ways:
        meter = ways.of(parse_target(f"benchmark_model/cpu:1,cores={1 << core:x}"))
        assert meter.fingerprint()["pinning"] == f"cores {core}"


def test_a_stand_in_that_runs_the_model_is_timed_and_profiled(tmp_path):
    path = tmp_path / "tool"
    write_tool_for_this_machine(path)
    target = parse_target("benchmark_model/cpu:1,min_secs=0.01,warmup_min_secs=0.01")
    with meters(str(path)) as ways:
        meter = ways.of(target)
        assert isinstance(meter, ToolMeter)
        [(_, nodes)] = meter.profile_all([Job(reference_network())])
        compared = meter.compare(Pair(reference_network(), reference_network(), min_loads=2, total_ms=100.0))
    assert not isinstance(nodes, MeasurementError)
    assert [node.kind for node in nodes] == ["Fully Connected (NC, F32) GEMM"] * 4
    assert 0.2 < compared.ratio < 5
