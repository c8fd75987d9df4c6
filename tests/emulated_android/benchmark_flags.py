"""The flags of TensorFlow Lite's `benchmark_model` for Android, those that the stand-in heeds or merely knows."""

from tests.emulated_android.tool_flags import Flag

COMMON = (
    Flag("num_runs", 50, "expected number of runs, see also min_secs, max_secs", "Min num runs"),
    Flag("min_secs", 1.0, "minimum number of seconds to rerun for", "Min runs duration (seconds)"),
    Flag("max_secs", 150.0, "maximum number of seconds to rerun for", "Max runs duration (seconds)"),
    Flag("run_delay", -1.0, "delay between runs in seconds", "Inter-run delay (seconds)"),
    Flag("num_threads", -1, "number of threads", "Num threads"),
    Flag("warmup_runs", 1, "minimum number of runs performed on initialization", "Min warmup runs"),
    Flag("warmup_min_secs", 0.5, "minimum number of seconds to rerun for", "Min warmup runs duration (seconds)"),
    Flag("verbose", False, "Whether to log parameters whose values are not set"),
    Flag("dry_run", False, "Whether to run the tool without invoking any op kernels", "Run w/o invoking kernels"),
    Flag("report_peak_memory_footprint", False, "Report the peak memory footprint", "Report the peak memory footprint"),
    Flag("graph", "", "graph file name", "Graph"),
    Flag("signature_to_run_for", "", "which signature to benchmark", "Signature to run"),
    Flag("allow_fp16", False, "allow fp16", "Allow fp16"),
    Flag("require_full_delegation", False, "require delegate to run the entire graph", "Require full delegation"),
    Flag("enable_op_profiling", False, "enable op profiling", "Enable op profiling"),
    Flag(
        "op_profiling_output_mode",
        "stdout",
        "Output mode for op profiling results. Supported values are: 'stdout', 'csv' and 'proto'.",
        "Op profiling output mode.",
    ),
    Flag("op_profiling_output_file", "", "Output file for op profiling results.", "Op profiling output file."),
    Flag("max_profiling_buffer_entries", 1024, "max initial profiling buffer entries", "Max initial profiling buffer"),
    Flag("profiling_output_csv_file", "", "[DEPRECATED]", "CSV File to export profiling data to"),
    Flag(
        "result_file_path",
        "",
        "Path to save the benchmark result in binary proto format.",
        "File path to save the benchmark result in binary proto format",
    ),
    Flag("help", False, "Print out all supported flags if true."),
)

DELEGATES = (
    Flag("use_xnnpack", False, "explicitly apply the XNNPACK delegate", "Use xnnpack"),
    Flag("xnnpack_force_fp16", False, "enforce float16 inference.", "xnnpack_force_fp16"),
    Flag("use_nnapi", False, "use nnapi delegate api", "Use NNAPI"),
    Flag("nnapi_accelerator_name", "", "the name of the nnapi accelerator to use", "NNAPI accelerator name"),
    Flag("external_delegate_path", "", "The library path for the underlying external.", "External delegate path"),
    Flag("external_delegate_options", "", "A list of options for the external delegate.", "External delegate options"),
)

GPU = (
    Flag("use_gpu", False, "use gpu", "Use gpu"),
    Flag("gpu_precision_loss_allowed", True, "Allow to process computation in lower precision than FP32 in GPU."),
    Flag("gpu_experimental_enable_quant", True, "Whether to enable the GPU delegate to run quantized models or not."),
    Flag("gpu_inference_for_sustained_speed", False, "Whether to prefer maximizing the throughput."),
    Flag("gpu_backend", "", "Force the GPU delegate to use a particular backend: 'cl' or 'gl'.", "GPU backend"),
)
