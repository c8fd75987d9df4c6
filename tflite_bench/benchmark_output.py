"""What TensorFlow Lite's and LiteRT's `benchmark_model` print and write, read and doubted.

The tool lies politely: asked for a delegate that it does not have, it warns, measures the CPU and exits with 0. A
number is therefore believed only after the tool's own words have been.

Sources: `tensorflow/lite/tools/benchmark/benchmark_tflite_model.cc` (its lines on delegates), `benchmark_model.cc`
(statistics); LiteRT's `litert/tools/benchmark_litert_model.h`.
"""

import re
from dataclasses import dataclass

from tflite_bench.errors import MeasurementError
from tflite_bench.timing import Reading
from tflite_bench.tool_protobufs import parsed

MEDIAN, MEAN = "median", "mean"

_ERROR = re.compile(r"^(?:ERROR|FATAL|WARN|WARNING): (?:\[[^\]]*\] )?(.*)$", re.MULTILINE)
_EMPTY_ERROR = "Benchmarking failed."
_UNCONSUMED = re.compile(r"^.*Unconsumed cmdline flags: .*$", re.MULTILINE)
_DENIED = re.compile(
    r"^.*(?:will not be executed|is unsupported on this platform|delegate creation failed"
    r"|Failed to (?:create|apply) ).*$",
    re.MULTILINE | re.IGNORECASE,
)
_PARTIAL = re.compile(r"^.*partially executed.*$", re.MULTILINE | re.IGNORECASE)
_REPLACED = re.compile(r"^.*Replacing (\d{1,9}) out of (\d{1,9}) node\(s\) with delegate.*$", re.MULTILINE)
_ALL_SAME = "(all same)"
_STATISTICS = re.compile(
    rf"^(?:INFO: )?(?:.*\] )?count=(\d{{1,9}})((?: \w+=[-+.\deE]+(?:{re.escape(_ALL_SAME)})?)*) *\r?\n", re.MULTILINE
)
_LITERT_MEAN = re.compile(r"Inference \(avg\): +([\d.]+) ms \((\d{1,9}) runs\)")
_LITERT_EXTREME = re.compile(r"Inference \((min|max)\): +([\d.]+) ms")
_QUOTED_CHARACTERS = 300


@dataclass(frozen=True)
class ToolOutput:
    """What one start of the tool left behind.

    Attributes:
        exit_status: of its process.
        log: standard output and standard error together.
        result: the `BenchmarkResult` protobuf; empty where there is none.
        profile: the `BenchmarkProfilingData` protobuf, or the same as CSV; empty where there is none.
    """

    exit_status: int
    log: str
    result: bytes = b""
    profile: bytes = b""


@dataclass(frozen=True)
class WantedDelegate:
    """A delegate that the tool was asked to use.

    Attributes:
        name: as the tool writes it, for example `GPU`.
        takes_all: whether it must run the whole model.
        is_confirmed: whether the tool says so when it does; one that says nothing must at least not deny it.
    """

    name: str
    takes_all: bool
    is_confirmed: bool


def read_reading(output: ToolOutput, statistic: str | None = None) -> tuple[Reading, str]:
    """The latency that the tool reports, from its protobuf where there is one, else from its text.

    Args:
        output: of a run that `check_success` has nothing against.
        statistic: `MEDIAN` or `MEAN`, where readings of only that kind can be used; the median where there is one.

    Returns:
        The reading, and which statistic `latency_ms` is. Where the tool reports no percentiles, the reading holds the
        least and the largest run in their place.

    Raises:
        MeasurementError: no latency can be found, it is no positive number, or it is of another statistic.
    """
    wants_mean = statistic == MEAN
    reading, found = _from_protobuf(output.result, wants_mean) if output.result else _from_text(output.log, wants_mean)
    if reading.runs < 1:
        raise MeasurementError("the tool made no timed run")
    if statistic not in (None, found):
        raise MeasurementError(f"the tool reports a {found} here; readings of this target are a {statistic}")
    return reading, found


def check_success(output: ToolOutput, delegate: WantedDelegate | None) -> None:
    """Sees that the run did what it was asked to.

    Args:
        output: of the run.
        delegate: what was asked for; None where nothing was.

    Raises:
        MeasurementError: the tool failed, ignored a flag, or did without the delegate where that was to be used; the
            message quotes its line.
    """
    if output.exit_status:
        raise MeasurementError(f"the tool failed ({_status_text(output.exit_status)}): {_its_words(output.log)}")
    unconsumed = _UNCONSUMED.search(output.log)
    if unconsumed:
        raise MeasurementError(f"the tool ignores what it was asked for: {_quoted(unconsumed[0])}")
    if delegate is not None:
        _check_delegated(output.log, delegate)


def _check_delegated(log: str, delegate: WantedDelegate) -> None:
    objections = [match[0] for match in _DENIED.finditer(log)]
    if delegate.takes_all:
        objections += [match[0] for match in _PARTIAL.finditer(log)]
        objections += [match[0] for match in _REPLACED.finditer(log) if int(match[1]) < int(match[2])]
    if objections:
        raise MeasurementError(f"not all of it ran on the {delegate.name} delegate: {_quoted(objections[0])}")
    executed = "completely" if delegate.takes_all else "(?:completely|partially)"
    confirmed = rf"pplied {delegate.name} delegate, and the model graph will be {executed} executed"
    if delegate.is_confirmed and not re.search(confirmed, log, re.IGNORECASE):
        raise MeasurementError(
            f"the tool does not say that the {delegate.name} delegate was applied; {_its_words(log)}"
        )


def _from_protobuf(data: bytes, wants_mean: bool) -> tuple[Reading, str]:
    result = parsed("BenchmarkResult", data)
    latency = result.latency_metrics
    if not latency.HasField("avg_ms"):
        raise MeasurementError("the tool's result file holds no latency")
    if wants_mean or not latency.HasField("median_ms"):
        return _reading(latency.avg_ms, latency.min_ms, latency.max_ms, result.misc_metrics.num_runs), MEAN
    return _reading(latency.median_ms, latency.p5_ms, latency.p95_ms, result.misc_metrics.num_runs), MEDIAN


def _from_text(log: str, wants_mean: bool) -> tuple[Reading, str]:
    statistics = list(_STATISTICS.finditer(log))[1:]  # without the warm-up's
    line = statistics[-1] if statistics else _LITERT_MEAN.search(log)
    if not line:
        raise MeasurementError(f"the tool printed no timings; {_its_words(log)}")
    try:
        return _from_statistics(line, wants_mean) if statistics else _from_litert(line, log)
    except (KeyError, ValueError) as error:
        raise MeasurementError(f"the tool's timings cannot be read: {_quoted(line[0])}") from error


def _from_statistics(line: re.Match[str], wants_mean: bool) -> tuple[Reading, str]:
    values_us = {
        key: float(value) for key, value in (pair.split("=") for pair in line[2].replace(_ALL_SAME, "").split())
    }
    if "median" in values_us and not wants_mean:
        triple, found = [values_us[key] for key in ("median", "p5", "p95")], MEDIAN
    else:
        mean_us = values_us["avg"] if "avg" in values_us else values_us["curr"]
        triple, found = [mean_us, values_us.get("min", mean_us), values_us.get("max", mean_us)], MEAN
    middle_ms, least_ms, most_ms = (value_us / 1000 for value_us in triple)
    return _reading(middle_ms, least_ms, most_ms, int(line[1])), found


def _from_litert(mean: re.Match[str], log: str) -> tuple[Reading, str]:
    extremes = {name: float(value) for name, value in _LITERT_EXTREME.findall(log)}
    mean_ms = float(mean[1])
    return _reading(mean_ms, extremes.get("min", mean_ms), extremes.get("max", mean_ms), int(mean[2])), MEAN


def _reading(latency_ms: float, least_ms: float, most_ms: float, runs: int) -> Reading:
    for figure_ms in (latency_ms, least_ms, most_ms):
        if not 0 <= figure_ms < float("inf"):
            raise MeasurementError(f"the tool reports a latency of {figure_ms} ms")
    return Reading(float(latency_ms), float(least_ms), float(most_ms), int(runs))


def _its_words(log: str) -> str:
    errors = [line for line in dict.fromkeys(_ERROR.findall(log)) if line != _EMPTY_ERROR]
    if errors:
        return _quoted("; ".join(errors))
    lines = [line for line in log.splitlines() if line.strip()]
    return f"its last line is {_quoted(lines[-1])}" if lines else "it printed nothing"


def _quoted(line: str) -> str:
    readable = "".join(character if character.isprintable() else " " for character in line.strip())
    if len(readable) > _QUOTED_CHARACTERS:
        readable = readable[:_QUOTED_CHARACTERS] + " ..."
    return f'"{readable}"'


def _status_text(status: int) -> str:
    """An exit status as a shell gives it; above 128 it is a signal's number more."""
    return f"signal {status - 128}" if 128 < status < 160 else f"exit status {status}"
