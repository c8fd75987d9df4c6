import re
from pathlib import Path

import netadapt_tf
from netadapt_tf.reporting.summary import Delivered, closing_table, summarise
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.search.journal import Journal
from netadapt_tf.settings import Settings
from netadapt_tf.training.task import ACCURACY
from tflite_bench.adapter import HARDWARE, SOFTWARE, Adapter
from tflite_bench.target import parse_target

HERE, PHONE = parse_target("host/cpu:1"), parse_target("android:0123456789ABCDEF/gpu,backend=cl")
START = Delivered(parameters=2000, macs=4000, tflite_bytes=9000, latency_ms={HERE: 0.2, PHONE: 5.0})
VALUES = {"before": 0.9, "after_search": 0.85, "after": 0.89}
ADAPTED = Delivered(parameters=1000, macs=1500, tflite_bytes=5000, latency_ms={HERE: 0.11, PHONE: 3.0})


def summary(tmp_path, *budgets: str) -> dict:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("iteration", iteration=1, wall_s={"measure": 2.0, "short_term": 3.0})
    journal.append("proposal", iteration=1, wall_s=3.0)
    journal.append("iteration", iteration=2, wall_s={"measure": 1.0, "long_term": 4.0})
    return summarise(
        command="the command",
        budgets=parse_budgets(budgets),
        settings=Settings(seed=3),
        metric=ACCURACY,
        journal=journal,
        start=START,
        adapted=ADAPTED,
        accuracy=VALUES,
        predicted_ms={HERE: 0.108, PHONE: 2.9},
        iterations=2,
        fingerprints={HERE: {"cpu": "a"}, PHONE: {"soc": "b"}},
    )


def test_contents_are_those_of_the_contract(tmp_path):
    result = summary(tmp_path, "latency@host/cpu:1=60%")
    assert result["budgets"] == [
        {"budget": "latency@host/cpu:1=60%", "asked": 0.12, "reached": 0.11, "unit": "ms", "met": True}
    ]
    assert (result["seed"], result["final"], result["command"]) == (3, "fine_tune", "the command")
    assert result["metric"] == {"name": "accuracy", "larger_is_better": True}
    assert result["accuracy"] == {"before": 0.9, "after_search": 0.85, "after": 0.89}
    assert result["latency_ms"] == {
        "host/cpu:1": {"before": 0.2, "after": 0.11, "predicted_after": 0.108},
        str(PHONE): {"before": 5.0, "after": 3.0, "predicted_after": 2.9},
    }
    assert result["macs"] == {"before": 4000, "after": 1500}
    assert result["target"] == {"host/cpu:1": {"cpu": "a"}, str(PHONE): {"soc": "b"}}
    assert result["wall_s"] == {"measure": 3.0, "short_term": 3.0, "long_term": 4.0, "total": 10.0}
    assert list(result["versions"]) == ["netadapt_tf", "tensorflow", "tf-keras", "ai-edge-litert", "numpy"]
    assert result["versions"]["netadapt_tf"] == netadapt_tf.__version__


def test_every_budget_is_judged_by_its_own_figure(tmp_path):
    asked = [f"latency@{PHONE}=50%", "macs=50%", "latency@host/cpu:1=60%", "tflite_bytes=4KB"]
    result = summary(tmp_path, *asked)
    assert [(row["budget"], row["asked"], row["reached"], row["unit"], row["met"]) for row in result["budgets"]] == [
        (asked[0], 2.5, 3.0, "ms", False),
        (asked[1], 2000, 1500, "MACs", True),
        (asked[2], 0.12, 0.11, "ms", True),
        (asked[3], 4000, 5000, "bytes", False),
    ]
    text = closing_table(result, Path("run"))
    for budget, verdict in zip(asked, ["NOT met", "met", "met", "NOT met"], strict=True):
        assert f"budget {budget}: {verdict}; at most" in text


def test_columns_stay_columns_beside_long_targets(tmp_path):
    lines = closing_table(summary(tmp_path, "macs=50%"), Path("run")).splitlines()[:9]
    assert len({len(line) for line in lines}) == 1
    assert f"latency, ms ({PHONE})  " in "\n".join(lines)


def test_what_rounding_costs_is_said_where_something_is_rounded(tmp_path):
    result = summary(tmp_path, "latency@host/cpu:1=60%")
    assert "float32_accuracy" not in result
    assert "rounding" not in closing_table(result, Path("run"))
    text = closing_table(result | {"float32_accuracy": {"before": 0.92, "after": 0.915}}, Path("run"))
    assert re.search(r"accuracy \(test\) +90.00% +89.00% .*\n +before rounding, float32 +92.00% +91.50%", text)


def test_a_missed_budget_is_said(tmp_path):
    result = summary(tmp_path, "parameters=900")
    assert not result["budgets"][0]["met"]
    assert "budget parameters=900: NOT met; at most 900 parameters, measured 1,000 parameters" in closing_table(
        result, Path("run")
    )


def test_the_table_reads_at_a_glance(tmp_path):
    lines = closing_table(summary(tmp_path, "latency@host/cpu:1=60%"), tmp_path / "demo").splitlines()
    assert lines[1].split() == ["accuracy", "(test)", "90.00%", "89.00%", "-1.00", "points"]
    assert lines[2].split() == ["latency,", "ms", "(host/cpu:1)", "0.2000", "0.1100", "55.0%"]
    assert lines[-4].strip() == str(tmp_path / "demo" / "adapted.keras")


def test_the_report_is_named_where_there_is_one(tmp_path):
    result = summary(tmp_path, "latency@host/cpu:1=60%")
    assert "report.html" not in closing_table(result, tmp_path)
    (tmp_path / "report.html").write_text("")
    assert closing_table(result, tmp_path).endswith(f"  {tmp_path / 'report.html'}")


def test_a_software_driver_is_named_in_the_table(tmp_path):
    result = summary(tmp_path, "latency@host/cpu:1=60%")
    assert "software" not in closing_table(result, Path("run"))
    result["target"]["host/gpu"] = Adapter("SwiftShader", "driver 5", "Vulkan", SOFTWARE).fingerprint(False)
    assert "host/gpu: SwiftShader is a software driver; these milliseconds are no GPU's." in closing_table(
        result, Path("run")
    )


def test_partial_delegation_is_named_in_the_table(tmp_path):
    result = summary(tmp_path, "latency@host/cpu:1=60%")
    result["target"]["host/gpu"] = Adapter("Some GPU", "driver 5", "Vulkan", HARDWARE).fingerprint(True)
    text = closing_table(result, Path("run"))
    assert "host/gpu: what the GPU does not take ran on the CPU, as allow_partial=true asks for." in text
    assert "software" not in text


def test_a_start_within_budget_and_another_metric_are_said(tmp_path):
    result = summary(tmp_path, "latency@host/cpu:1=60%") | {
        "iterations": 0,
        "metric": {"name": "mean squared error", "larger_is_better": False},
    }
    text = closing_table(result, Path("run"))
    assert "within budget already" in text
    assert text.splitlines()[1].split() == ["mean", "squared", "error", "(test)", "0.9", "0.89", "-0.01"]


def test_a_run_that_was_finished_before_latencies_said_where_they_come_from_is_shown(tmp_path):
    now = summary(tmp_path, "macs=50%")
    old = {key: value for key, value in now.items() if key != "latency_is_from"}
    assert closing_table(old, Path("run")) == closing_table(now, Path("run"))


def test_one_iteration_is_no_iterations(tmp_path):
    result = summary(tmp_path, "macs=50%")
    assert "\n2 iterations, 0.2 minutes\n" in closing_table(result, Path("run"))
    assert "\n1 iteration, 0.2 minutes\n" in closing_table(result | {"iterations": 1}, Path("run"))
