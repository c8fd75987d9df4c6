"""The report on a search's family: the networks of it that were long-term fine-tuned and delivered."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from netadapt_tf.figures import number
from netadapt_tf.reporting.charts import AFTER, BEFORE, ENDS, dots, framed, quantity
from netadapt_tf.reporting.family import common_targets, family_rows
from netadapt_tf.reporting.figures import score, share, title_of, together
from netadapt_tf.reporting.page import Chart, Section, Table
from netadapt_tf.reporting.run_record import RunRecord
from netadapt_tf.reporting.search_sections import score_axis

_OWN = "the run's own"


def family(run: RunRecord) -> Section:
    """What each delivered network costs, and how accurate it is on the test split; the run's own among them."""
    members, measured = _members(run), "" if run.is_from_table else ", and measured,"
    return Section(
        key="family",
        title="The family",
        text=[
            f"Networks of this search, each long-term fine-tuned and converted{measured} on its own. Here the "
            f"{run.metric} is that on the test split. The square is the start, the diamond what the run ended with.",
            *_verdicts(members),
        ],
        charts=[_chart(run, members, target) for target in common_targets([summary for _, summary in members])],
        shown=[_table(run.metric, members)],
    )


def _members(run: RunRecord) -> list[tuple[str, Mapping[str, Any]]]:
    """Where each network lies, and its summary; the largest first."""
    found = [(f"family/{name}", summary) for name, summary in run.family.items()]
    if run.summary is not None:
        found.append((_OWN, run.summary))
    return sorted(found, key=lambda member: member[1]["iterations"])


def _chart(run: RunRecord, members: Sequence[tuple[str, Mapping[str, Any]]], target: str) -> Chart:
    before = members[-1][1]["accuracy"]["before"]
    members = [member for member in members if math.isfinite(member[1]["accuracy"]["after"])]
    rows = [_point(run, where, summary, target) for where, summary in members]
    start = {"cost": 1.0, "score": before, "tip": f"Start\n{run.metric}: {score(before, run.metric)}"}
    x, y = quantity("cost", "latency, of the start's", format=".0%"), score_axis(run.metric, "test")
    others = [row for row, (where, _) in zip(rows, members, strict=True) if where != _OWN]
    own = [row for row, (where, _) in zip(rows, members, strict=True) if where == _OWN]
    groups = [([start], ENDS[BEFORE]), (others, {}), (own, ENDS[AFTER])]
    title = title_of(f"latency@{target}")
    words = "; ".join(
        f"iteration {summary['iterations']} at {share(row['cost'], 1.0)}: {score(row['score'], run.metric)}"
        for row, (_, summary) in zip(rows, members, strict=True)
    )
    return Chart(
        f"{title} and test {run.metric}",
        f"{title}, of the start's, against test {run.metric}: {words}; the start: {score(start['score'], run.metric)}.",
        framed(320, [dots(points, x, y, **style) for points, style in groups if points]),
    )


def _point(run: RunRecord, where: str, summary: Mapping[str, Any], target: str) -> dict[str, Any]:
    pair, after = summary["latency_ms"][target], summary["accuracy"]["after"]
    lines = [
        f"Iteration {summary['iterations']}, {where}",
        f"{title_of(f'latency@{target}')}: {number(pair['after'])} ms, {share(pair['after'], pair['before'])}",
        f"test {run.metric}: {score(after, run.metric)}",
    ]
    return {"cost": pair["after"] / pair["before"], "score": after, "tip": "\n".join(lines)}


def _table(metric: str, members: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    heading, start, *rows = family_rows(metric, [summary for _, summary in members])
    named = zip(["start", *(where for where, _ in members)], [start, *rows], strict=True)
    shown = [[where, *map(together, row)] for where, row in named]
    return Table("Delivered networks", ["network", *heading], shown)


def _verdicts(members: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    return [
        f"{budget['budget']}: {'met' if budget['met'] is True else 'NOT met'} by {where}."
        for where, summary in members
        for budget in summary["budgets"]
    ]
