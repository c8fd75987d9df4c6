"""The binaries that users start, for the tests that look at all of them."""

BINARIES = {
    "netadapt": "netadapt_tf.adapt",
    "netadapt-finetune": "netadapt_tf.finetune",
    "netadapt-report": "netadapt_tf.report",
    "netadapt-fill-table": "netadapt_tf.fill_table",
    "tflite-bench-profile": "tflite_bench.profile_model",
    "tflite-bench-table": "tflite_bench.show_table",
}
"""Modules by the name of the command that is installed."""
