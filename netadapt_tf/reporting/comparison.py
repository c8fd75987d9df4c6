"""The report on several runs: their figures side by side, and the networks of all their searches in one picture."""

from collections.abc import Sequence

from netadapt_tf.figures import NOT_KNOWN, number
from netadapt_tf.reporting.charts import curves, quantity
from netadapt_tf.reporting.figures import amount, gain, score, seconds, share, title_of, unit_of
from netadapt_tf.reporting.page import Chart, Section, Table
from netadapt_tf.reporting.run_record import RunRecord
from netadapt_tf.reporting.search_sections import network_tip, score_axis


def comparison_of(runs: Sequence[RunRecord], names: Sequence[str]) -> list[Section]:
    """The table first, then the curves.

    Args:
        runs: several.
        names: of the runs, all different.
    """
    named = list(zip(names, runs, strict=True))
    from_table = ", ".join(name for name, run in named if run.is_from_table)
    tabled = [f"Latencies of {from_table} are the latency table's; nothing was measured there."] if from_table else []
    return [
        Section(
            key="runs",
            title="The runs side by side",
            text=[
                "Of finished runs the delivered files, on the test set; of others the last iteration, hold-out set.",
                *tabled,
            ],
            shown=[_table(named)],
        ),
        Section(
            key="curves",
            title="Every network of every search",
            text=[
                "What the networks of all iterations cost, measured in their own searches, and their hold-out metric. "
                "Costs of different sessions are not measured in turn: small differences mean nothing.",
                *tabled,
            ],
            charts=_charts(named),
        ),
    ]


def _table(named: Sequence[tuple[str, RunRecord]]) -> Table:
    targets = list(dict.fromkeys(target for _, run in named for target in (run.summary or {}).get("latency_ms", {})))
    metrics = {run.metric for _, run in named}
    head = ["run", "network", "budgets", metrics.pop() if len(metrics) == 1 else "metric", "change"]
    for target in targets:
        head += [f"{title_of(f'latency@{target}')}, ms", "after / before"]
    rows = [[name, run.network, _budgets(run), *_figures(run, targets)] for name, run in named]
    return Table("The runs", [*head, "MACs after / before", "iterations", "time"], rows, figures_from=3)


def _budgets(run: RunRecord) -> str:
    if run.summary is None:
        return "; ".join(f"{budget}: not finished" for budget in run.budgets)
    return "; ".join(f"{row['budget']}: {'met' if row['met'] else 'NOT met'}" for row in run.summary["budgets"])


def _figures(run: RunRecord, targets: Sequence[str]) -> list[str]:
    last = [str(run.last.iteration if run.last else 0), seconds(sum(run.wall_s.values()))]
    if run.summary is None:
        first, found = (run.steps[0].accuracy, run.steps[-1].accuracy) if run.steps else (None, None)
        return [*_scores(first, found, run.metric), *[NOT_KNOWN] * (2 * len(targets) + 1), *last]
    costs = []
    for target in targets:
        pair = run.summary["latency_ms"].get(target, {})
        before, after = pair.get("before"), pair.get("after")
        costs += [f"{number(before)} → {number(after)}" if pair else NOT_KNOWN, share(after, before)]
    accuracy, macs = run.summary["accuracy"], run.summary["macs"]
    scores = _scores(accuracy["before"], accuracy["after"], run.metric)
    return [*scores, *costs, share(macs["after"], macs["before"]), *last]


def _scores(before: float | None, after: float | None, metric: str) -> list[str]:
    return [f"{score(before, metric)} → {score(after, metric)}", gain(before, after, metric)]


def _charts(named: Sequence[tuple[str, RunRecord]]) -> list[Chart]:
    """One for each resource and metric that budgets are about."""
    kinds = dict.fromkeys((resource, run.metric) for _, run in named for resource in run.resources)
    return [chart for resource, metric in kinds for chart in _chart(named, resource, metric)]


def _chart(named: Sequence[tuple[str, RunRecord]], resource: str, metric: str) -> list[Chart]:
    chosen = [(name, run) for name, run in named if resource in run.resources and run.metric == metric]
    unit = unit_of(resource, [run for _, run in chosen])
    rows = [
        {
            "cost": step.measured[resource],
            "score": step.accuracy,
            "order": step.iteration,
            "kind": name,
            "tip": f"{name}\n{network_tip(run, step, resource)}",
        }
        for name, run in chosen
        for step in run.steps
        if resource in step.measured and step.accuracy is not None
    ]
    if not rows:
        return []
    title = title_of(resource)
    ends = [
        f"{name} to {amount(run.last.measured.get(resource), unit)} at {score(run.last.accuracy, metric)}"
        for name, run in chosen
        if run.last
    ]
    spec = curves(rows, quantity("cost", f"{title}, {unit}"), score_axis(metric), [name for name, _ in chosen])
    return [Chart(f"{title} and hold-out {metric}", f"{title} against hold-out {metric}: {'; '.join(ends)}.", spec)]
