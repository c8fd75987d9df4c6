from pathlib import Path
from typing import Any

import pytest

from netadapt_tf.reporting.family import family_table
from tflite_bench.adapter import HARDWARE, SOFTWARE, Adapter


def member(iterations: int, fingerprint: dict[str, str | int]) -> tuple[Path, dict[str, Any]]:
    """Folder and summary of a delivered network, as far as the table reads it."""
    return Path(f"run/delivered/{iterations:03d}"), {
        "metric": {"name": "accuracy"},
        "latency_is_from": "measurement",
        "target": {"host/gpu": fingerprint},
        "latency_ms": {"host/gpu": {"before": 2.0, "after": 1.0}},
        "accuracy": {"before": 0.9, "after_search": 0.8, "after": 0.85},
        "macs": {"before": 2000, "after": 1000},
        "tflite_bytes": {"before": 200, "after": 100},
        "budgets": [{"budget": "latency@host/gpu=60%", "met": True}],
        "iterations": iterations,
    }


@pytest.mark.parametrize(
    ("kind", "allows_partial", "said"),
    [
        (HARDWARE, False, []),
        (SOFTWARE, False, ["host/gpu: Some GPU is a software driver; these milliseconds are no GPU's."]),
        (HARDWARE, True, ["host/gpu: what the GPU does not take ran on the CPU, as allow_partial=true asks for."]),
    ],
)
def test_milliseconds_that_are_no_gpus_are_said_once(kind, allows_partial, said):
    fingerprint = Adapter("Some GPU", "driver 5", "Vulkan", kind).fingerprint(allows_partial)
    lines = family_table([member(number, fingerprint) for number in (1, 2)]).splitlines()
    assert [line for line in lines if line.startswith("host/gpu: ")] == said
