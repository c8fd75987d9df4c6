import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tflite_bench.tool_logs import FOLDER, NAMES, read_log
from tflite_bench.benchmark_output import MEAN, MEDIAN, ToolOutput, WantedDelegate, check_success, read_reading
from tflite_bench.errors import MeasurementError
from tflite_bench.timing import Reading

GPU = WantedDelegate("GPU", takes_all=True, is_confirmed=True)
LOGS = {name: read_log(name) for name in NAMES}
FAILED = sorted(name for name, log in LOGS.items() if log.exit_status)
DONE = sorted(set(NAMES) - set(FAILED))
UNTIMED = ("19_dry_run",)
UNCONSUMED = {"38_unknown_flag": "--no_such_flag=1", "40_use_gpu_true": "--use_gpu=true"}
ITS_WORDS = {
    "30_missing_graph_file": "Could not open '/nonexistent/x.tflite'.",
    "31_no_graph_flag": "Please specify the name of your TF Lite input file with --graph",
    "34_corrupt_truncated": "The model is not a valid Flatbuffer buffer",
    "43_bad_bool": "Failed to parse flag 'enable_op_profiling' against argv '--enable_op_profiling=yes'",
    "44_bad_int": "Failed to parse flag 'num_threads' against argv '--num_threads=abc'",
    "48_help": "usage: benchmark_model <flags>",
    "52_require_full_delegation_nox": "Disallowed CPU fallback detected.",
    "70_gpubuilt_dynamic_tensors": "Failed to apply GPU delegate.",
    "72_gpubuilt_gl_dynamic_tensors": "Failed to apply GPU delegate.",
    "74_gpubuilt_static_model": "Falling back to OpenGL",
}

WARM_UP = (
    "INFO: count=42 first=11907 curr=11505 min=11399 max=13516 avg=11828.4 std=580 p5=11427 median=11591 p95=13204"
)
MEASURED = "INFO: count=86 first=1 curr=2 min=11231 max=12621 avg=11548.6 std=187 p5=11315 median=11522 p95=11853"
TIMED = f"INFO: STARTING!\n{WARM_UP}\n\n{MEASURED}\n\nINFO: Inference timings in us: Init: 16073\n"
OLD = (
    "STARTING!\nLoaded model net.tflite\n"
    "count=4 first=150321 curr=143012 min=142001 max=150321 avg=145000 std=3000\n\n"
    "count=50 first=143100 curr=143200 min=141000 max=151000 avg=143500 std=900\n\n"
    "Average inference timings in us: Warmup: 145000, Init: 4014, Inference: 143500\n"
)
FULLY = "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate."
LITERT = """\
INFO: [benchmark_litert_model.h:75]
INFO: [benchmark_litert_model.h:75] ========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:75] Model initialization: 23.41 ms
INFO: [benchmark_litert_model.h:75] Warmup (first):       9.12 ms
INFO: [benchmark_litert_model.h:75] Warmup (avg):         8.73 ms (3 runs)
INFO: [benchmark_litert_model.h:75] Inference (avg):      8.05 ms (124 runs)
INFO: [benchmark_litert_model.h:75] Inference (min):      7.91 ms
INFO: [benchmark_litert_model.h:75] Inference (max):      9.40 ms
INFO: [benchmark_litert_model.h:75] Inference (std):      0.21
INFO: [benchmark_litert_model.h:75] Throughput:           71.32 MB/s
"""


def reading_of(log: str, statistic: str | None = None) -> tuple[Reading, str]:
    return read_reading(ToolOutput(0, log), statistic)


def last_numbers(log: str) -> Reading:
    """Read by other means than the code under test."""
    line = [line for line in log.splitlines() if re.match(r"INFO: count=", line)][-1]
    pairs = dict(re.findall(r"(\w+)=(\S+)", line))
    median, p5, p95 = (float(pairs[key]) / 1000 for key in ("median", "p5", "p95"))
    return Reading(median, p5, p95, int(pairs["count"]))


def test_every_log_is_either_done_or_failed():
    assert len(NAMES) >= 25
    assert set(FAILED) == set(ITS_WORDS)
    assert set(UNTIMED) | set(UNCONSUMED) <= set(DONE)


@pytest.mark.parametrize("name", sorted(set(DONE) - set(UNTIMED)))
def test_the_numbers_are_those_of_the_log(name):
    log = LOGS[name]
    for text in (log.combined, log.stdout, log.stderr + log.stdout):
        assert reading_of(text, MEDIAN) == (last_numbers(text), MEDIAN)


@pytest.mark.parametrize("name", sorted(set(DONE) - set(UNCONSUMED)))
def test_a_run_that_was_done_passes(name):
    check_success(ToolOutput(0, LOGS[name].combined), None)


@pytest.mark.parametrize("name", FAILED)
def test_a_failure_is_told_in_the_words_of_the_tool(name):
    log = LOGS[name]
    for text in (log.combined, log.stderr, log.stdout + log.stderr):
        with pytest.raises(MeasurementError, match=rf"exit status 1.*{re.escape(ITS_WORDS[name])}") as failure:
            check_success(ToolOutput(log.exit_status, text), None)
        assert "Benchmarking failed" not in str(failure.value)
        assert len(str(failure.value)) < 400
        with pytest.raises(MeasurementError):
            reading_of(text)


@pytest.mark.parametrize(("name", "flag"), UNCONSUMED.items())
def test_a_flag_that_was_ignored_is_refused(name, flag):
    for text in (LOGS[name].combined, LOGS[name].stdout):
        with pytest.raises(MeasurementError, match=f"ignores.*Unconsumed cmdline flags: {flag}"):
            check_success(ToolOutput(0, text), None)


def test_a_dry_run_measured_nothing():
    with pytest.raises(MeasurementError, match="no timed run"):
        reading_of(LOGS["19_dry_run"].combined)


def test_a_single_run_is_its_own_median():
    assert reading_of(LOGS["17_one_run"].combined) == (Reading(11.773, 11.773, 11.773, 1), MEDIAN)


def test_the_protobuf_holds_what_the_log_says():
    data = (FOLDER / "56_result_proto.pb").read_bytes()
    reading, found = read_reading(ToolOutput(0, "", data))
    candidates = [last_numbers(text) for text in (LOGS["56_result_proto"].combined, LOGS["56_result_proto"].stdout)]
    (same,) = [candidate for candidate in candidates if candidate.runs == reading.runs]
    assert found == MEDIAN
    assert [reading.latency_ms, reading.p5_ms, reading.p95_ms] == pytest.approx(
        [same.latency_ms, same.p5_ms, same.p95_ms]
    )


def test_a_protobuf_is_believed_before_the_text():
    data = (FOLDER / "56_result_proto.pb").read_bytes()
    assert read_reading(ToolOutput(0, TIMED, data)) == read_reading(ToolOutput(0, "", data))


def test_old_versions_tell_the_mean():
    assert reading_of(OLD) == (Reading(143.5, 141.0, 151.0, 50), MEAN)


def test_a_single_run_of_an_old_version():
    assert reading_of("count=1 curr=150000\n\ncount=1 curr=143000\n\n") == (Reading(143.0, 143.0, 143.0, 1), MEAN)


@pytest.mark.parametrize("text", [TIMED, OLD, LITERT])
def test_line_ends_of_another_system_change_nothing(text):
    assert reading_of(text.replace("\n", "\r\n")) == reading_of(text)


@pytest.mark.parametrize("percentiles", [" p5=7 median=7 p95=7", ""])
def test_runs_that_all_take_the_same_are_read(percentiles):
    reading, statistic = reading_of(f"{WARM_UP}\n\nINFO: count=50 curr=7(all same){percentiles}\n")
    assert reading == Reading(0.007, 0.007, 0.007, 50)
    assert statistic == (MEDIAN if percentiles else MEAN)


def test_litert_tells_the_mean():
    assert reading_of(LITERT) == (Reading(8.05, 7.91, 9.40, 124), MEAN)


@pytest.mark.parametrize(("text", "other"), [(OLD, MEDIAN), (LITERT, MEDIAN)])
def test_another_statistic_than_asked_for_is_refused(text, other):
    with pytest.raises(MeasurementError, match=f"readings of this target are a {other}"):
        reading_of(text, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        WARM_UP + "\n",
        f"{WARM_UP}\n\n{MEASURED.replace('median=11522', 'median=nan')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('median=11522', 'median=-11522')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('p95=11853', 'p95=-1')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('p5=11315', 'p5=1e999')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('median=11522', 'median=1e999')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('median=11522', 'median=1.2.3')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace(' p95=11853', '')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('count=86', 'count=0')}\n",
        f"{WARM_UP}\n\n{MEASURED.replace('count=86', 'count=' + '9' * 5000)}\n",
        f"{WARM_UP}\n\nINFO: count=3\n",
        "count=1 curr=150000\n\ncount=1 curr=-143000\n",
        LITERT.replace("8.05 ms", "nan ms"),
        LITERT.replace("8.05 ms", "8.0.5 ms"),
        LITERT.replace("7.91 ms", "7.9.1 ms"),
        LITERT.replace("124 runs", "0 runs"),
    ],
)
def test_what_is_no_timing_is_refused(text):
    with pytest.raises(MeasurementError):
        reading_of(text)


@given(st.sampled_from([LOGS["01_default_t1"].combined, TIMED, OLD]), st.data())
def test_a_log_that_is_cut_short_gives_the_right_number_or_none(text, data):
    cut = text[: data.draw(st.integers(0, len(text)))]
    try:
        found = reading_of(cut)
    except MeasurementError:
        return
    assert found == reading_of(text)


@pytest.mark.parametrize(
    "said",
    [
        FULLY,
        "Applied GPU delegate, and the model graph will be completely executed w/ the delegate.",
        f"INFO: Replacing 31 out of 31 node(s) with delegate (TfLiteGpuDelegateV2) node.\n{FULLY}",
        f"INFO: Failed to load OpenCL library with dlopen: libOpenCL.so. Trying ICD loader.\n{FULLY}",
    ],
)
def test_a_delegate_that_took_the_whole_model_is_believed(said):
    check_success(ToolOutput(0, f"{said}\n{TIMED}"), GPU)


@pytest.mark.parametrize(
    "said",
    [
        "INFO: Explicitly applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2 "
        "delegate kernels.",
        "Applied GPU delegate, and the model graph will be partially executed w/ 2 delegate kernels.",
        "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.",
        "WARN: GPU acceleration is unsupported on this platform.",
        "ERROR: Failed to apply GPU delegate.",
        f"INFO: Replacing 5 out of 31 node(s) with delegate (TfLiteGpuDelegateV2) node.\n{FULLY}",
        f"WARN: GPU acceleration is unsupported on this platform.\n{FULLY}",
    ],
)
def test_a_delegate_that_took_part_or_nothing_is_refused_in_the_words_of_the_tool(said):
    with pytest.raises(MeasurementError, match=re.escape(f'GPU delegate: "{said.splitlines()[0]}"')):
        check_success(ToolOutput(0, f"{said}\n{TIMED}"), GPU)


def test_a_tool_that_never_confirms_is_believed_unless_it_denies():
    litert = WantedDelegate("GPU", takes_all=True, is_confirmed=False)
    check_success(ToolOutput(0, TIMED), litert)
    for said in ("GPU acceleration is unsupported on this platform", "Replacing 3 out of 31 node(s) with delegate (X)"):
        with pytest.raises(MeasurementError, match=re.escape(said)):
            check_success(ToolOutput(0, f"INFO: {said}\n{TIMED}"), litert)


def test_xnnpack_may_take_a_part_but_must_be_there():
    xnnpack = WantedDelegate("XNNPACK", takes_all=False, is_confirmed=True)
    check_success(ToolOutput(0, LOGS["03_xnnpack_true_t1"].combined), xnnpack)
    with pytest.raises(MeasurementError, match="does not say that the XNNPACK delegate was applied"):
        check_success(ToolOutput(0, LOGS["01_default_t1"].combined), xnnpack)
    with pytest.raises(MeasurementError, match="Failed to apply XNNPACK"):
        check_success(ToolOutput(0, f"ERROR: Failed to apply XNNPACK delegate.\n{TIMED}"), xnnpack)


def test_a_mean_can_be_had_where_there_is_a_median():
    log = LOGS["56_result_proto"].combined
    result = (FOLDER / "56_result_proto.pb").read_bytes()
    assert read_reading(ToolOutput(0, log, result), MEAN)[0].latency_ms == pytest.approx(11.2584, abs=1e-3)
    reading, statistic = read_reading(ToolOutput(0, log), MEAN)
    assert (reading.latency_ms, statistic) == (pytest.approx(11.2584), MEAN)


@pytest.mark.parametrize(
    "said", ["", "INFO: GPU delegate created.", FULLY.replace("GPU", "NNAPI"), FULLY.replace("GPU", "XNNPACK")]
)
def test_a_delegate_that_is_not_confirmed_is_refused(said):
    with pytest.raises(MeasurementError, match="does not say that the GPU delegate was applied"):
        check_success(ToolOutput(0, f"{said}\n{TIMED}"), GPU)


def test_the_cpu_log_of_a_gpu_request_is_refused():
    for name in ("01_default_t1", "03_xnnpack_true_t1", "40_use_gpu_true"):
        with pytest.raises(MeasurementError):
            check_success(ToolOutput(0, LOGS[name].combined), GPU)


@pytest.mark.parametrize(("status", "words"), [(137, "signal 9"), (134, "signal 6"), (127, "exit status 127")])
def test_a_tool_that_died_says_how(status, words):
    with pytest.raises(MeasurementError, match=rf"{words}.*it printed nothing"):
        check_success(ToolOutput(status, ""), None)


def test_a_failure_without_words_of_error_quotes_the_last_line():
    with pytest.raises(MeasurementError, match='its last line is "CANNOT LINK EXECUTABLE"'):
        check_success(ToolOutput(1, "STARTING!\nCANNOT LINK\x1bEXECUTABLE\n\n"), None)


@pytest.mark.parametrize("data", [b"\xff", b"\x00", b"no protobuf at all", b"\x12\x7f\x0d"])
def test_what_is_no_protobuf_is_refused(data):
    with pytest.raises(MeasurementError, match="BenchmarkResult"):
        read_reading(ToolOutput(0, TIMED, data))


def test_a_protobuf_without_latency_is_refused():
    with pytest.raises(MeasurementError, match="no latency"):
        read_reading(ToolOutput(0, TIMED, b"\x0a\x03net"))


def pieces() -> st.SearchStrategy[str]:
    """Shreds of what the tool prints, and anything else."""
    numbers = st.one_of(st.integers().map(str), st.floats().map(str), st.text("0123456789.-+eE", max_size=6))
    pair = st.builds(
        "{}={}".format, st.sampled_from(["count", "curr", "avg", "min", "max", "p5", "median", "p95"]), numbers
    )
    line = st.builds("{}{}".format, st.sampled_from(["", "INFO: "]), st.lists(pair, max_size=5).map(" ".join))
    count = st.builds("count={} {}".format, numbers, line)
    shreds = st.sampled_from([*TIMED.splitlines(), *OLD.splitlines(), *LITERT.splitlines(), FULLY])
    litert = st.builds(
        "Inference ({}): {} ms ({} runs)".format, st.sampled_from(["avg", "min", "max"]), numbers, numbers
    )
    replacing = st.builds("Replacing {} out of {} node(s) with delegate".format, numbers, numbers)
    return st.lists(st.one_of(line, count, shreds, litert, replacing, st.text())).map("\n".join)


@given(st.one_of(pieces(), st.text()), st.integers(0, 255), st.sampled_from([None, GPU]))
def test_no_text_raises_anything_but_a_measurement_error(text, status, delegate):
    output = ToolOutput(status, text)
    for read in (lambda: check_success(output, delegate), lambda: read_reading(output)):
        try:
            found = read()
        except MeasurementError:
            continue
        if found is not None:
            assert found[0].runs > 0
            assert all(0 <= value < float("inf") for value in (found[0].latency_ms, found[0].p5_ms, found[0].p95_ms))


@given(st.binary(min_size=1))
def test_no_bytes_raise_anything_but_a_measurement_error(data):
    real = (FOLDER / "56_result_proto.pb").read_bytes()
    for result in (data, real[: len(real) // 2] + data, real + data):
        try:
            reading, _ = read_reading(ToolOutput(0, "", result))
        except MeasurementError:
            continue
        assert all(0 <= value < float("inf") for value in (reading.latency_ms, reading.p5_ms, reading.p95_ms))
