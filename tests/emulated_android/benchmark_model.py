"""A stand-in for TensorFlow Lite's `benchmark_model`: same flags, same words, and the model is really run."""

import time
from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema

from tests.emulated_android import benchmark_flags, operator_profile
from tests.emulated_android.executor import Executor, quiet_runtime, read_graph
from tests.emulated_android.operator_profile import Node
from tests.emulated_android.tool_flags import Flag, ParsedFlags, UsageError, parse, shown
from tests.emulated_android.tool_log import (
    BenchmarkFailedError,
    Result,
    Statistics,
    ToolSetup,
    memory_mb,
    number,
    repeat,
    write_all,
)
from tflite_bench.errors import InvalidModelError
from tflite_bench.graph import Graph


def main(argv: Sequence[str], setup: ToolSetup) -> int:
    """Runs the tool.

    Args:
        argv: the command line, with paths of this machine.
        setup: the device that it runs on.

    Returns:
        The exit status.
    """
    setup.maybe_print_garbage()
    tool = _Tool(setup)
    tool.info("STARTING!")
    try:
        tool.run(argv)
    except (UsageError, BenchmarkFailedError) as error:
        for line in (*([str(error)] if str(error) else []), "Benchmarking failed."):
            write_all(2, f"ERROR: {line}\n".encode())
        return 1
    return 0


class _Tool:
    def __init__(self, setup: ToolSetup) -> None:
        self._setup = setup
        self._flags: Sequence[Flag] = (
            *benchmark_flags.COMMON,
            *(benchmark_flags.GPU if setup.gpu else ()),
            *benchmark_flags.DELEGATES,
        )

    def info(self, line: str) -> None:
        """A line of the tool's own log."""
        self._print(1, f"INFO: {line}")

    def run(self, argv: Sequence[str]) -> None:
        """From the command line to the last line of the log."""
        flags = parse(self._flags, argv)
        if flags.unknown:
            self._print(1, f"WARN: Unconsumed cmdline flags: {' '.join(flags.unknown)}")
        if not flags.text("graph"):
            raise BenchmarkFailedError("Please specify the name of your TF Lite input file with --graph")
        self._list_parameters(flags)
        tflite = self._load(flags)
        start_mb = memory_mb()
        begin = time.perf_counter()
        on_gpu = self._delegate(flags, tflite)
        executor = self._prepare(flags, tflite, on_gpu=on_gpu)
        init_us = round((time.perf_counter() - begin) * 1e6 * self._setup.time_factor)
        init_mb = memory_mb() - start_mb
        self.info(f"The input model file size (MB): {number(len(tflite) / 1e6)}")
        self.info(f"Initialized session in {number(init_us / 1000)}ms.")
        self._setup.maybe_die()
        warm_up, measured = self._measure(flags, executor, on_gpu=on_gpu)
        first = warm_up.times[0] if warm_up.times else 0
        self.info(
            f"Inference timings in us: Init: {init_us}, First inference: {first}, "
            f"Warmup (avg): {number(warm_up.average)}, Inference (avg): {number(measured.average)}"
        )
        overall_mb = memory_mb() - start_mb
        self.info(
            "Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the "
            "actual memory footprint of the model at runtime. Take the information at your discretion."
        )
        memory = f"init={number(init_mb)} overall={number(overall_mb)}"
        self.info(f"Memory footprint delta from the start of the tool (MB): {memory}")
        if flags.on("enable_op_profiling") and measured.times:
            self._profile(flags, tflite, init_us, measured, on_gpu=on_gpu)
        if path := flags.text("result_file_path"):
            result = Result(init_us, warm_up, measured, init_mb, overall_mb, len(tflite), executor.input_bytes)
            self._save(path, result)

    def _list_parameters(self, flags: ParsedFlags) -> None:
        values = dict(flags.values)
        listed = {*flags.given, "graph", "signature_to_run_for"}
        if values["profiling_output_csv_file"] and values["enable_op_profiling"]:
            values["op_profiling_output_mode"] = "csv"
            values["op_profiling_output_file"] = values["profiling_output_csv_file"]
            listed |= {"op_profiling_output_mode", "op_profiling_output_file"}
        self.info(f"Log parameter values verbosely: [{shown(values['verbose'])}]")
        for flag in benchmark_flags.COMMON:
            if flag.label and (flag.name in listed or values["verbose"]):
                self.info(f"{flag.label}: [{shown(values[flag.name])}]")
        if "num_threads" in listed:
            self.info(f"#threads used for CPU inference: [{values['num_threads']}]")
        for flag in self._flags[len(benchmark_flags.COMMON) :]:
            if flag.label and (flag.name in listed or values["verbose"]):
                self.info(f"{flag.label}: [{shown(values[flag.name])}]")

    def _load(self, flags: ParsedFlags) -> bytes:
        path = flags.text("graph")
        shown_path = path.replace(self._setup.root, "")
        tflite = read_graph(path)
        if tflite is None:
            self._error(f"Could not open '{shown_path}'.")
            self._error("The model allocation is null/empty")
        else:
            try:
                Graph(tflite)
            except InvalidModelError:
                self._error("The model is not a valid Flatbuffer buffer")
                tflite = None
        if tflite is None:
            raise BenchmarkFailedError(f"Failed to load model {shown_path}")
        self.info(f"Loaded model {shown_path}")
        return tflite

    def _delegate(self, flags: ParsedFlags, tflite: bytes) -> bool:
        """Applies the delegates that the flags ask for.

        Returns:
            Whether the model runs on the GPU.
        """
        wanted = flags.on("require_full_delegation")
        if flags.on("use_nnapi"):
            self._print(1, "WARN: NNAPI acceleration is unsupported on this platform.")
        if flags.on("use_gpu") and self._setup.gpu == "unsupported":
            self._print(1, "WARN: GPU acceleration is unsupported on this platform.")
        elif flags.on("use_gpu"):
            self._apply_gpu(tflite, must_be_full=wanted)
            return True
        if flags.on("use_xnnpack"):
            graph = Graph(tflite)
            partitions = operator_profile.xnnpack_partitions(graph)
            self._print(2, "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.")
            self.info("XNNPACK delegate created.")
            self._report_delegation("XNNPACK", len(partitions), full=sum(partitions) == len(graph.operators))
            wanted = wanted and sum(partitions) != len(graph.operators)
        if wanted:
            raise BenchmarkFailedError("Disallowed CPU fallback detected.")
        return False

    def _apply_gpu(self, tflite: bytes, *, must_be_full: bool) -> None:
        self._print(2, "INFO: Created TensorFlow Lite delegate for GPU.")
        self.info("GPU delegate created.")
        if _has_dynamic_shapes(tflite):
            self._print(
                2,
                "WARNING: Attempting to use a delegate that only supports static-sized tensors with a graph that has "
                "dynamic-sized tensors (tensor#-1 is a dynamic-sized tensor).",
            )
            raise BenchmarkFailedError("Failed to apply GPU delegate.")
        kernels = 2 if self._setup.gpu_partial else 1
        self._print(2, f"INFO: Created {kernels} GPU delegate kernels.")
        if self._setup.gpu_partial and must_be_full:
            raise BenchmarkFailedError("Disallowed CPU fallback detected.")
        self._report_delegation("GPU", kernels, full=not self._setup.gpu_partial)

    def _report_delegation(self, delegate: str, kernels: int, *, full: bool) -> None:
        how = "completely executed by the delegate." if full else ""
        how = how or f"partially executed by the delegate w/ {kernels} delegate kernels."
        self.info(f"Explicitly applied {delegate} delegate, and the model graph will be {how}")

    def _prepare(self, flags: ParsedFlags, tflite: bytes, *, on_gpu: bool) -> Executor:
        xnnpack = on_gpu or not ("use_xnnpack" in flags.given and not flags.on("use_xnnpack"))
        if not on_gpu and xnnpack and "use_xnnpack" not in flags.given:
            self._print(2, "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.")
        try:
            with quiet_runtime():
                return Executor(tflite, flags.integer("num_threads"), xnnpack=xnnpack)
        except (ValueError, RuntimeError) as error:
            raise BenchmarkFailedError(f"Failed to allocate tensors! {error}") from error

    def _measure(self, flags: ParsedFlags, executor: Executor, *, on_gpu: bool) -> tuple[Statistics, Statistics]:
        run = executor.timed(self._setup.time_factor, self._setup.gpu_fixed_ms / 1000 if on_gpu else 0.0)
        max_secs = flags.seconds("max_secs")
        series = []
        for runs, secs in (("warmup_runs", "warmup_min_secs"), ("num_runs", "min_secs")):
            at_least, min_secs = flags.integer(runs), flags.seconds(secs)
            if flags.on("dry_run"):
                at_least, min_secs = 0, -1.0
            self.info(
                f"Running benchmark for at least {at_least} iterations and at least {number(min_secs)} seconds but "
                f"terminate if exceeding {number(max_secs)} seconds."
            )
            series.append(Statistics(repeat(run, at_least, min_secs, max_secs)))
            if len(series) == 1:
                self.info(series[0].line() + "\n")
        self._setup.print_last_statistics(1, f"INFO: {series[1].line()}\n\n")
        return series[0], series[1]

    def _profile(self, flags: ParsedFlags, tflite: bytes, init_us: int, measured: Statistics, *, on_gpu: bool) -> None:
        half = init_us // 2
        preparation = [
            Node("ModifyGraphWithDelegate", "ModifyGraphWithDelegate/0", [half]),
            Node("AllocateTensors", "AllocateTensors/0", [init_us - half]),
        ]
        if on_gpu:
            nodes = [operator_profile.gpu_node(Graph(tflite), measured.times)]
        else:
            xnnpack = not ("use_xnnpack" in flags.given and not flags.on("use_xnnpack"))
            threads, factor = flags.integer("num_threads"), self._setup.time_factor
            with quiet_runtime():
                nodes = operator_profile.profile(tflite, len(measured.times), threads, factor, xnnpack=xnnpack)
        mode, path = flags.text("op_profiling_output_mode"), flags.text("op_profiling_output_file")
        if csv := flags.text("profiling_output_csv_file"):
            mode, path = "csv", csv
        if mode == "proto" and path:
            self._setup.save_result(path, operator_profile.encoded(preparation, nodes))
            return
        text = operator_profile.text(preparation, nodes, csv=mode == "csv")
        try:
            if mode == "csv" and path:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                return
        except OSError:
            pass
        self.info(text)

    def _save(self, path: str, result: Result) -> None:
        shown_path = path.replace(self._setup.root, "")
        self.info(f"Saving benchmark result to: {shown_path}")
        try:
            self._setup.save_result(path, result.encoded())
        except OSError as error:
            raise BenchmarkFailedError(f"Failed to save benchmark result to: {shown_path}") from error
        self.info(f"Saved benchmark result to: {shown_path}")

    def _error(self, line: str) -> None:
        self._print(2, f"ERROR: {line}")

    def _print(self, descriptor: int, line: str) -> None:
        write_all(descriptor, f"{line}\n".encode())


def _has_dynamic_shapes(tflite: bytes) -> bool:
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    signatures = (tensor.shapeSignature for tensor in model.subgraphs[0].tensors)
    return any(signature is not None and -1 in list(signature) for signature in signatures)
