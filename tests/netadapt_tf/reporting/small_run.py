"""Run directories of a search that never was: three channel groups, two iterations, every figure known."""

import json
from pathlib import Path
from typing import Any

from netadapt_tf.search.journal import Journal

TARGET = "host/cpu:1"
LATENCY = f"latency@{TARGET}"
COMMAND = f"python -m netadapt_tf.adapt --network=small --budget={LATENCY}=60%"
WIDTHS = ({"a": 32, "b": 64, "c": 128}, {"a": 32, "b": 64, "c": 48}, {"a": 32, "b": 24, "c": 48})
CONFIG: dict[str, Any] = {
    "network": "small",
    "metric": "accuracy",
    "pick": "highest_accuracy",
    "initial_reduction": 0.2,
    "reduction_decay": 0.96,
    "pretrain_epochs": 3,
    "seed": 7,
    "budgets": [f"{LATENCY}=60%"],
    "hash": "0123",
}
ITERATIONS: tuple[dict[str, Any], ...] = (
    {"picked": None, "accuracy": 0.9, "predicted": 0.98, "measured": 1.0, "spread": 0.0},
    {"picked": "c", "filters": 48, "accuracy": 0.89, "constraint": 0.8, "predicted": 0.79, "measured": 0.78},
    {"picked": "b", "filters": 24, "accuracy": 0.885, "constraint": 0.6, "predicted": 0.6, "measured": 0.59},
)
PROPOSALS: tuple[dict[str, Any], ...] = (
    {"event": "proposal", "iteration": 1, "group": "a", "filters": 8, "accuracy": 0.5, "predicted": {LATENCY: 0.77}},
    {"event": "failed", "iteration": 1, "group": "b", "filters": 8, "reason": "no memory"},
    {"event": "proposal", "iteration": 1, "group": "c", "filters": 48, "accuracy": 0.89, "predicted": {LATENCY: 0.79}},
    {"event": "screened", "iteration": 2, "group": "a", "filters": 4, "accuracy": 0.4, "predicted": {LATENCY: 0.6}},
    {"event": "proposal", "iteration": 2, "group": "b", "filters": 24, "accuracy": 0.885, "predicted": {LATENCY: 0.6}},
    {"event": "proposal", "iteration": 2, "group": "c", "filters": 8, "accuracy": 0.81, "predicted": {LATENCY: 0.58}},
)
SUMMARY: dict[str, Any] = {
    "command": COMMAND,
    "seed": 7,
    "final": "fine_tune",
    "versions": {"netadapt_tf": "0.1.0", "tensorflow": "2.21.0", "numpy": "2.4.6"},
    "target": {TARGET: {"cpu": "imagined", "cores": 2}},
    "budgets": [{"budget": f"{LATENCY}=60%", "asked": 0.606, "reached": 0.595, "unit": "ms", "met": True}],
    "metric": {"name": "accuracy", "larger_is_better": True},
    "precision": "float32",
    "accuracy": {"before": 0.901, "after_search": 0.88, "after": 0.8975},
    "latency_is_from": "measurement",
    "latency_ms": {TARGET: {"before": 1.01, "after": 0.595, "predicted_after": 0.606}},
    "macs": {"before": 4_000_000, "after": 2_000_000},
    "parameters": {"before": 250_000, "after": 90_000},
    "tflite_bytes": {"before": 1_000_000, "after": 400_000},
    "iterations": 2,
    "wall_s": {"measure": 30.0, "short_term": 60.0, "long_term": 10.0, "total": 100.0},
}


def layers() -> dict[str, Any]:
    """What `layers.json` holds."""

    def layer(name: str, before: int, after: int, *ms: float) -> dict[str, Any]:
        sides = zip(("before", "after"), (before, after), ms, strict=True)
        found = {side: {"output_shape": [1, 8, 8, filters], "latency_ms": m} for side, filters, m in sides}
        return {"name": name, "kind": "CONV_2D", **found}

    filters = list(range(8, 129, 8))
    return {
        TARGET: {
            "call_ms": 0.001,
            "layers": [layer("a", 32, 32, 0.2, 0.2), layer("b", 64, 24, 0.3, 0.15), layer("c", 128, 48, 0.45, 0.2)],
            "staircases": [
                {
                    "group": "c",
                    "before": 128,
                    "after": 48,
                    "filters": filters,
                    "latency_ms": [0.1 * -(-count // 16) for count in filters],
                }
            ],
        }
    }


def write_run(path: Path, finished: bool = True, iterations: int = 2) -> Path:
    """Writes a run directory of up to two iterations; returns its path."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    journal = Journal(path / "journal.jsonl")
    journal.append("devices", fingerprints=SUMMARY["target"])
    for number, figures in enumerate(ITERATIONS[: iterations + 1]):
        for proposal in PROPOSALS:
            if proposal["iteration"] == number:
                journal.append(**proposal, wall_s=1.0)
        costs = {name: {LATENCY: figures[name]} for name in ("predicted", "measured", "constraint") if name in figures}
        others = {name: figures[name] for name in ("picked", "filters", "accuracy") if name in figures}
        journal.append(
            "iteration",
            iteration=number,
            **others,
            **costs,
            spread={LATENCY: figures.get("spread", 0.01)},
            wall_s={"measure": 10.0, "short_term": 20.0},
        )
        folder = path / "iterations" / f"{number:03d}"
        folder.mkdir(parents=True)
        (folder / "widths.json").write_text(json.dumps(WIDTHS[number]))
    if finished:
        (path / "summary.json").write_text(json.dumps(SUMMARY))
        (path / "layers.json").write_text(json.dumps(layers()))
    return path


def by_the_table(run_dir: Path) -> Path:
    """Makes it a run with `--table_only`, where the table stands in for every measurement; returns its path."""
    edit(run_dir / "config.json", table_only=True)
    for summary in run_dir.rglob("summary.json"):
        edit(summary, latency_is_from="table")
    journal = run_dir / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        if record["event"] == "iteration":
            record.update(predicted=record["measured"], spread={LATENCY: 0.0})
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    return run_dir


SECOND = "android:R58M12ABCDE/cpu:4,cores=big"


def on_two_targets(run_dir: Path) -> Path:
    """Makes it a run whose budgets are about two targets, the second with a name as phones have; returns its path."""

    def doubled(costs: dict[str, float]) -> dict[str, float]:
        return {**costs, f"latency@{SECOND}": 25 * costs[LATENCY]} if LATENCY in costs else costs

    journal = run_dir / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        record.update({name: doubled(value) for name, value in record.items() if isinstance(value, dict)})
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    budgets = [f"{LATENCY}=60%", f"latency@{SECOND}=60%"]
    edit(run_dir / "config.json", budgets=budgets)
    for path in run_dir.rglob("summary.json"):
        summary = json.loads(path.read_text())
        of_first = summary["latency_ms"][TARGET]
        edit(
            path,
            target={TARGET: {"cpu": "imagined", "cores": 2}, SECOND: {"model": "imagined", "core_mhz": "1766 2803"}},
            latency_ms={TARGET: of_first, SECOND: {name: 25 * ms for name, ms in of_first.items()}},
            budgets=[{**row, "budget": budget} for row in summary["budgets"] for budget in budgets],
        )
    of_layers = run_dir / "layers.json"
    if of_layers.exists():
        edit(of_layers, **{SECOND: json.loads(of_layers.read_text())[TARGET]})
    return run_dir


def write_member(run_dir: Path, iteration: int, **changes: Any) -> Path:
    """Writes the summary of a network of the family; returns its folder."""
    folder = run_dir / "family" / f"{iteration:03d}"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, "iterations": iteration, "budgets": [], **changes}))
    return folder


def edit(path: Path, **values: Any) -> None:
    """Changes keys of a JSON file; a value of None takes one out."""
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
