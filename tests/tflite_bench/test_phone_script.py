import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.processes import has_ended
from tflite_bench.benchmark_model import ToolRun
from tflite_bench.benchmark_output import ToolOutput
from tflite_bench.phone_script import KILL, BatchStream, batch_script

TOKEN = "f00df00df00df00d"
TOOL = r"""#!/bin/sh
status=0
for argument; do printf '[%s]\n' "$argument"; done
for argument; do
    case "$argument" in
        --result_file_path=*) printf 'result \001\377 of %s' "$1" >"${argument#*=}" ;;
        --op_profiling_output_file=*) printf 'profile of %s\n' "$1" >"${argument#*=}" ;;
        --exit=*) status=${argument#*=} ;;
        --die=*) kill -"${argument#*=}" $$ ;;
        --say=*) printf "${argument#*=}" ;;
        --warn) echo 'to the other stream' >&2 ;;
        --read) cat ;;
    esac
done
exit $status
"""
NASTY = (
    "two words",
    "it's",
    'double " quote',
    "a;touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\ntouch pwned\n",
    "a & touch pwned &",
    "> pwned",
    "$HOME ${0} $1 *",
    "back\\slash\\",
    "ünïcode",
    "",
)
LINES = "\n12345 begin 0\n12345 end 0\n12345 done\nbegin 1\nend 0\n x f00df00df00df00d end 0\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "tool").write_text(TOOL)
    (tmp_path / "tool").chmod(0o755)
    return tmp_path


def streamed(folder: Path, runs: dict[int, ToolRun], command: Sequence[str] = ("./tool",)) -> bytes:
    models = {number: f"{number}.tflite" for number in runs}
    (folder / "batch.sh").write_text(batch_script(runs, models, command, TOKEN))
    return subprocess.run(
        ["/bin/sh", str(folder / "batch.sh")], stdout=subprocess.PIPE, timeout=20, check=True, cwd="/", input=b"typed"
    ).stdout


def read(stream: BatchStream, data: bytes) -> dict[int, ToolOutput]:
    return {
        number: output for line in io.BytesIO(data) for number, output in stream.feed(line.decode(errors="replace"))
    }


def run_all(folder: Path, *flags: Sequence[str]) -> dict[int, ToolOutput]:
    stream = BatchStream(TOKEN)
    outputs = read(stream, streamed(folder, {n: ToolRun(b"", tuple(words)) for n, words in enumerate(flags)}))
    assert stream.done
    assert stream.running is None
    return outputs


def test_a_run_leaves_its_status_its_words_and_its_files(folder):
    run = ToolRun(b"", ("--warn", "--exit=3"))
    assert read(BatchStream(TOKEN), streamed(folder, {7: run})) == {
        7: ToolOutput(3, "[--graph=7.tflite]\n[--warn]\n[--exit=3]\nto the other stream\n")
    }


def test_the_tool_gets_no_input(folder):
    assert run_all(folder, ["--read"])[0].log == "[--graph=0.tflite]\n[--read]\n"


def test_files_of_one_run_are_not_taken_for_those_of_the_next(folder):
    runs = {0: ToolRun(b"", (), "result_file_path", "op_profiling_output_file"), 1: ToolRun(b"", ())}
    outputs = read(BatchStream(TOKEN), streamed(folder, runs))
    assert outputs[0].result == b"result \001\377 of --graph=0.tflite"
    assert outputs[0].profile == b"profile of --graph=0.tflite\n"
    assert (outputs[1].result, outputs[1].profile) == (b"", b"")


@pytest.mark.parametrize(
    ("flag", "status"), [("--exit=0", 0), ("--exit=1", 1), ("--die=KILL", 137), ("--die=ABRT", 134)]
)
def test_the_status_is_that_of_the_tool(folder, flag, status):
    outputs = run_all(folder, [flag], [])
    assert [outputs[0].exit_status, outputs[1].exit_status] == [status, 0]


def test_a_tool_that_cannot_be_started_is_a_failed_run(folder):
    outputs = read(BatchStream(TOKEN), streamed(folder, {0: ToolRun(b"", ())}, ["./missing"]))
    assert outputs[0].exit_status == 127
    assert "missing" in outputs[0].log


def test_what_comes_before_the_tool_is_kept(folder):
    outputs = read(BatchStream(TOKEN), streamed(folder, {0: ToolRun(b"", ())}, ["env", "A=1", "./tool"]))
    assert outputs[0].log == "[--graph=0.tflite]\n"


@pytest.mark.parametrize("text", NASTY)
def test_arguments_arrive_as_plain_text(folder, text):
    outputs = run_all(folder, [f"--flag={text}", text])
    assert outputs[0].log == f"[--graph=0.tflite]\n[--flag={text}]\n[{text}]\n"
    assert not list(folder.rglob("pwned"))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20), max_size=20)
)
def test_any_arguments_arrive_as_plain_text(folder, words):
    words = [f"--x={word}" for word in words]
    assert run_all(folder, words)[0].log == "".join(f"[{word}]\n" for word in ["--graph=0.tflite", *words])


def test_lines_that_imitate_markers_are_words_of_the_tool(folder):
    outputs = run_all(folder, [f"--say={LINES}"], [f"--say={LINES}"])
    assert len(outputs) == 2
    assert outputs[0].log.endswith(f"]\n{LINES}")


@pytest.mark.parametrize("end", ["the last words", "the last words\n", "\n\n", "\r\n", "\n"])
def test_the_last_line_may_have_an_end_or_none(folder, end):
    outputs = run_all(folder, [f"--say={end}"], [])
    assert outputs[0].log == f"[--graph=0.tflite]\n[--say={end}]\n{end}"
    assert outputs[1].log == "[--graph=1.tflite]\n"


def test_bytes_that_are_no_text_are_replaced(folder):
    assert run_all(folder, [r"--say=\377\n"])[0].log.endswith("\ufffd\n")


def test_a_stream_says_which_run_is_under_way():
    stream = BatchStream(TOKEN)
    assert read(stream, f"\n{TOKEN} begin 12\n".encode()) == {}
    assert stream.running == 12
    assert not stream.done


def test_files_that_arrive_damaged_are_no_defect():
    stream = BatchStream(TOKEN)
    data = f"{TOKEN} begin 0\n{TOKEN} log 0\n{TOKEN} result\nAAA\n{TOKEN} profile\n???\n{TOKEN} end 0\n"
    [output] = read(stream, data.encode()).values()
    assert (output.result, output.profile) == (b"\xff", b"")


@pytest.mark.parametrize("marker", ["begin", "begin ", "log", "log ", "end", "end ", "done 1", "begin 1 2", "begin x"])
def test_half_a_marker_is_a_word_of_the_tool(marker):
    stream = BatchStream(TOKEN)
    data = f"{TOKEN} begin 1\n{TOKEN} log 0\n{TOKEN} {marker}\n{TOKEN} end 1\n"
    assert read(stream, data.encode()) == {1: ToolOutput(0, f"{TOKEN} {marker}")}
    assert not stream.done


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The stream of twelve runs, so that numbers of one digit begin numbers of two."""
    folder = tmp_path_factory.mktemp("phone")
    (folder / "tool").write_text(TOOL)
    (folder / "tool").chmod(0o755)
    flags = ("--exit=12", f"--say={LINES}")
    run = ToolRun(b"", flags, "result_file_path", "op_profiling_output_file")
    return streamed(folder, dict.fromkeys(range(12), run))


def test_a_stream_that_is_cut_anywhere_yields_only_complete_runs(whole):
    complete = read(BatchStream(TOKEN), whole)
    assert len(complete) == 12
    for cut in range(len(whole)):
        stream = BatchStream(TOKEN)
        found = read(stream, whole[:cut])
        assert found == {number: complete[number] for number in range(len(found))}
        assert stream.running in (None, len(found))
        assert not stream.done


@given(st.data())
def test_a_stream_that_loses_its_middle_is_no_defect(whole, data):
    begin, end = sorted(data.draw(st.lists(st.integers(0, len(whole)), min_size=2, max_size=2)))
    assert len(read(BatchStream(TOKEN), whole[:begin] + whole[end:])) <= 12


def test_a_batch_leaves_nothing_running_behind(folder):
    run_all(folder, [])
    assert sorted(path.name for path in folder.iterdir()) == ["batch.sh", "log", "pid", "profile", "result", "tool"]


def test_a_batch_that_was_left_behind_is_ended(folder):
    (folder / "benchmark_model").write_text("#!/bin/sh\nwhile :; do sleep 0.01; done\n")
    (folder / "benchmark_model").chmod(0o755)
    (folder / "batch.sh").write_text(batch_script({0: ToolRun(b"", ())}, {0: "0"}, ["./benchmark_model"], TOKEN))
    with subprocess.Popen(["/bin/sh", str(folder / "batch.sh")], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        while f"{TOKEN} begin 0\n".encode() != shell.stdout.readline():
            pass
        while not (folder / "pid").exists() or not (folder / "pid").read_text().strip():
            pass
        tool = int((folder / "pid").read_text())
        subprocess.run(["/bin/sh", "-c", KILL], cwd=folder, check=True, timeout=10)
        assert shell.wait(10) == -9
    assert has_ended(tool)
    assert not (folder / "pid").exists()
    assert not (folder / "shell").exists()


def test_a_process_that_has_the_number_of_one_long_gone_is_left_alone(folder):
    with subprocess.Popen(["sleep", "60"]) as other:
        (folder / "pid").write_text(f"{other.pid}\n")
        subprocess.run(["/bin/sh", "-c", KILL], cwd=folder, check=True, timeout=10)
        assert other.poll() is None
        other.kill()
    assert not (folder / "pid").exists()
