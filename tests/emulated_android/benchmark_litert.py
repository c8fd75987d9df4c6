"""A stand-in for LiteRT's `benchmark_model`: the newer tool of the same name, with a log of another shape."""

import signal
import time
from collections.abc import Sequence

from tests.emulated_android import benchmark_flags, operator_profile
from tests.emulated_android.executor import Executor, quiet_runtime, read_graph
from tests.emulated_android.tool_flags import Flag, UsageError, parse
from tests.emulated_android.tool_log import (
    BenchmarkFailedError,
    Result,
    Statistics,
    ToolSetup,
    memory_mb,
    repeat,
    write_all,
)
from tflite_bench.errors import InvalidModelError
from tflite_bench.graph import Graph

_TAKEN_OVER = (
    *("num_runs", "min_secs", "max_secs", "num_threads", "warmup_runs", "warmup_min_secs", "graph", "allow_fp16"),
    *("require_full_delegation", "result_file_path", "help"),
)
_FLAGS = (
    *(flag for flag in benchmark_flags.COMMON if flag.name in _TAKEN_OVER),
    Flag("use_cpu", True, "whether to use CPU accelerator"),
    Flag("use_gpu", False, "whether to use GPU accelerator"),
    Flag("use_npu", False, "whether to use NPU accelerator"),
    Flag("gpu_backend", "", "GPU backend: 'opencl', 'opengl', 'webgpu', 'vulkan'"),
    Flag("use_profiler", False, "whether to use the LiteRT profiler"),
)
_ABORTED = 128 + signal.SIGABRT


def main(argv: Sequence[str], setup: ToolSetup) -> int:
    """Runs the tool.

    Args:
        argv: the command line, with paths of this machine.
        setup: the device that it runs on.

    Returns:
        The exit status.
    """
    setup.maybe_print_garbage()
    try:
        return _run(argv, setup)
    except UsageError as error:
        _print(f"ERROR: {error}\nERROR: Benchmarking failed.")
    except BenchmarkFailedError as error:
        _print(f"ERROR: [benchmark_litert_model.cc:160] {error}\nERROR: Benchmarking failed.")
    return 1


def _run(argv: Sequence[str], setup: ToolSetup) -> int:
    flags = parse(_FLAGS, argv)
    if flags.unknown:
        _print(f"WARN: Unconsumed cmdline flags: {' '.join(flags.unknown)}")
    path = flags.text("graph")
    if not path:
        raise BenchmarkFailedError("Please specify the name of your TF Lite input file with --graph")
    if flags.on("use_cpu") and flags.on("require_full_delegation"):
        _print(
            "ERROR: [benchmark_litert_model.cc:70] Requesting full delegation and CPU acceleration are incompatible."
        )
        return _ABORTED
    tflite = read_graph(path)
    try:
        if tflite is None:
            raise InvalidModelError("missing")
        graph = Graph(tflite)
    except InvalidModelError as error:
        raise BenchmarkFailedError(f"Failed to load model {path.replace(setup.root, '')}") from error
    on_gpu = flags.on("use_gpu") and setup.gpu is True
    if flags.on("require_full_delegation") and (not on_gpu or setup.gpu_partial):
        raise BenchmarkFailedError("Failed to compile model: the model is not fully accelerated")

    start_mb = memory_mb()
    begin = time.perf_counter()
    with quiet_runtime():
        executor = Executor(tflite, flags.integer("num_threads"), xnnpack=True)
    init_us = round((time.perf_counter() - begin) * 1e6 * setup.time_factor)
    init_mb = memory_mb() - start_mb
    setup.maybe_die()
    run = executor.timed(setup.time_factor, setup.gpu_fixed_ms / 1000 if on_gpu else 0.0)
    max_secs = flags.seconds("max_secs")
    warm_up = Statistics(repeat(run, flags.integer("warmup_runs"), flags.seconds("warmup_min_secs"), max_secs))
    measured = Statistics(repeat(run, flags.integer("num_runs"), flags.seconds("min_secs"), max_secs))
    result = Result(init_us, warm_up, measured, init_mb, memory_mb() - start_mb, len(tflite), executor.input_bytes)
    _print_result(setup, result)
    if flags.on("use_profiler") and measured.times:
        with quiet_runtime():
            threads = flags.integer("num_threads")
            nodes = operator_profile.profile(tflite, len(measured.times), threads, setup.time_factor, xnnpack=True)
        shown = [operator_profile.gpu_node(graph, measured.times)] if on_gpu else nodes
        write_all(1, operator_profile.text([], shown, csv=False).encode())
    if path := flags.text("result_file_path"):
        setup.save_result(path, result.encoded())
    return 0


def _print_result(setup: ToolSetup, result: Result) -> None:
    warm_up, measured = result.warm_up, result.measured
    lines = ["", "========== BENCHMARK RESULTS ==========", f"Model initialization: {result.init_us / 1000:.2f} ms"]
    if warm_up.times:
        lines.append(f"Warmup (first):       {warm_up.times[0] / 1000:.2f} ms")
        lines.append(f"Warmup (avg):         {warm_up.average / 1000:.2f} ms ({len(warm_up.times)} runs)")
    _print("\n".join(f"INFO: [benchmark_litert_model.h:75] {line}" for line in lines))
    times = measured.times or [0]
    throughput = result.input_bytes / 2**20 / (measured.average / 1e6) if measured.average else 0.0
    lines = [
        f"Inference (avg):      {measured.average / 1000:.2f} ms ({len(measured.times)} runs)",
        f"Inference (min):      {min(times) / 1000:.2f} ms",
        f"Inference (max):      {max(times) / 1000:.2f} ms",
        f"Inference (std):      {measured.deviation / 1000:.2f}",
        f"Throughput:           {throughput:.2f} MB/s",
        "",
        "Memory Usage:",
        f"Init footprint:       {result.init_mb:.2f} MB",
        f"Overall footprint:    {result.overall_mb:.2f} MB",
        "======================================",
    ]
    text = "".join(f"INFO: [benchmark_litert_model.h:75] {line}\n" for line in lines)
    setup.print_last_statistics(2, text)


def _print(text: str) -> None:
    write_all(2, f"{text}\n".encode())
