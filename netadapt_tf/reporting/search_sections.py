"""The report on a search: its networks, how well their cost was foretold, and its steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from netadapt_tf.figures import ACCURACY, number
from netadapt_tf.reporting.charts import (
    AFTER,
    BEFORE,
    ENDS,
    FAINT,
    FLAT,
    SERIES,
    Row,
    count,
    dots,
    framed,
    kinds_of_dots,
    line,
    quantity,
    rule,
    whiskers,
)
from netadapt_tf.reporting.figures import amount, changes, score, share, title_of, together, unit_of
from netadapt_tf.reporting.page import Chart, Section, Table
from netadapt_tf.reporting.run_record import RunRecord, Step
from netadapt_tf.resources.budget import COUNTED, parse_budget
from netadapt_tf.wording import counted
from tflite_bench.errors import UserError


def trade_off(run: RunRecord) -> Section:
    """What every iteration's network costs, and how accurate it is."""
    charts = [chart for resource in run.resources for chart in _trade_off_chart(run, resource)]
    how = "by the table" if run.is_from_table else "measured"
    term = "mid-term" if run.config.get("mid_term_epochs") else "short-term"
    return Section(
        key="trade-off",
        title="Every network of the search",
        text=[
            "Each point is the network of one iteration, on its way from the start (right) to the budget (left): what "
            f"it costs, {how}, and its {run.metric} on the hold-out set after its {term} fine-tune. Each is "
            "kept, under iterations/ in the run directory. The square is the start, the diamond what the search ended "
            "with. Point at one, or step through them with the arrow keys, to see its widths.",
        ],
        charts=charts,
        tables=[_iterations_table(run), *_widths_table(run)],
    )


def _trade_off_chart(run: RunRecord, resource: str) -> list[Chart]:
    steps = [step for step in run.steps if resource in step.measured and step.accuracy is not None]
    if not steps:
        return []
    unit, title = unit_of(resource, [run]), title_of(resource)
    x, y = quantity("cost", f"{title}, {unit}"), score_axis(run.metric)
    rows = [
        {
            "cost": step.measured[resource],
            "score": step.accuracy,
            "order": step.iteration,
            "tip": network_tip(run, step, resource),
        }
        for step in steps
    ]
    first, last = steps[0], steps[-1]
    ends = [(rows[1:-1], {}), (rows[:1], ENDS[BEFORE])] + [(rows[-1:], ENDS[AFTER])] * (len(rows) > 1)
    layers = [
        *_limit_rule(run, resource, "x"),
        line(rows, x, y, FAINT),
        *(dots(points, x, y, **style) for points, style in ends if points),
    ]
    description = (
        f"{title} against hold-out {run.metric} of {len(steps)} networks: from "
        f"{amount(first.measured[resource], unit)} at {score(first.accuracy, run.metric)} (start) to "
        f"{amount(last.measured[resource], unit)} at {score(last.accuracy, run.metric)} (iteration {last.iteration})."
    )
    return [Chart(f"{title} and hold-out {run.metric}", description, framed(320, layers))]


def score_axis(metric: str, split: str = "hold-out") -> Row:
    """The axis of a metric on the hold-out or the test split."""
    form: dict[str, Any] = {"format": ".1%"} if metric == ACCURACY else {}
    return quantity("score", f"{split} {metric}", **form)


def network_tip(run: RunRecord, step: Step, resource: str) -> str:
    """What is shown of an iteration's network on hover."""
    unit = unit_of(resource, [run])
    start = run.steps[0].widths
    head = "Start" if step.iteration == 0 else f"Iteration {step.iteration}"
    lines = [
        head,
        f"{title_of(resource)}: {amount(step.measured[resource], unit)}",
        f"hold-out {run.metric}: {score(step.accuracy, run.metric)}",
    ]
    return "\n".join([*lines, *(changes(start, step.widths) if step.iteration else _filters(start))])


def _filters(widths: Mapping[str, int]) -> list[str]:
    return [f"{name}: {filters}" for name, filters in widths.items()]


def _limit_rule(run: RunRecord, resource: str, along: str) -> Sequence[Row]:
    limit = search_limit(run, resource)
    return [] if limit is None else rule(limit, along, "budget")


def search_limit(run: RunRecord, resource: str) -> float | None:
    """A budget on the scale of the search's measurements, whose start is iteration 0; None where that is not known."""
    budget = next((budget for budget in run.budgets if budget.rpartition("=")[0] == resource), None)
    if budget is None or not run.steps or resource not in run.steps[0].measured:
        return None
    try:
        return parse_budget(budget).limit(run.steps[0].measured[resource])
    except UserError:  # about a resource of the caller's own
        rows = run.summary["budgets"] if run.summary is not None else []
        return next((row["asked"] for row in rows if row["budget"] == budget), None)


def _iterations_table(run: RunRecord) -> Table:
    metric = run.metric
    head = ["iteration", "picked", "filters", f"hold-out {metric}"]
    for resource in run.resources:
        named = f"{title_of(resource)}, {unit_of(resource, [run])}"
        head += [f"{named}: allowed", "predicted", run.how(resource)]
    rows = [
        [
            str(step.iteration),
            step.picked or "start",
            str(step.widths.get(step.picked, "")) if step.picked else "",
            score(step.accuracy, metric),
            *(
                number(values.get(resource))
                for resource in run.resources
                for values in (step.constraint, step.predicted, step.measured)
            ),
        ]
        for step in run.steps
    ]
    return Table("Iterations", head, rows, figures_from=2)


def _widths_table(run: RunRecord) -> list[Table]:
    steps = [step for step in run.steps if step.widths]
    if not steps:
        return []
    head = ["channel group", *("start" if step.iteration == 0 else str(step.iteration) for step in steps)]
    rows = [[name, *(str(step.widths.get(name, "")) for step in steps)] for name in steps[0].widths]
    return [Table("Filters of every channel group, by iteration", head, rows)]


def predicted_against_measured(run: RunRecord) -> list[Section]:
    """How well the costs of the search's networks were foretold; none where nothing was measured."""
    charts = [chart for resource in run.resources for chart in _error_charts(run, resource)]
    if run.is_from_table and not charts:
        return []
    section = Section(
        key="predicted",
        title="Predicted against measured",
        text=[
            "The latency table proposes, a measurement of the whole network decides. The start's prediction is the "
            "plain sum of the table; each later one is corrected by the measurement before it. Lines show by how much "
            "a measurement may be off. The figures stand in the table of iterations above."
        ]
        if charts
        else ["What the budgets are about is counted, not measured: predictions are exact."]
        if all(resource in COUNTED for resource in run.resources)
        else ["There is nothing to compare: nothing was cut, or the figures are the same."],
        charts=charts,
        are_small=True,
    )
    return [section]


def _error_charts(run: RunRecord, resource: str) -> list[Chart]:
    steps = [step for step in run.steps if step.measured.get(resource) and resource in step.predicted]
    errors = {step.iteration: step.predicted[resource] / step.measured[resource] - 1 for step in steps}
    if len(steps) < 2 or not any(errors.values()) or run.how(resource) != "measured":
        return []
    unit, title = unit_of(resource, [run]), title_of(resource)
    rows = []
    for step in steps:
        measured, predicted, spread = step.measured[resource], step.predicted[resource], step.spread.get(resource, 0.0)
        rows.append(
            {
                "iteration": step.iteration,
                "measured": measured,
                "predicted": predicted,
                "least": measured - spread,
                "most": measured + spread,
                "error": errors[step.iteration],
                "least_error": predicted / (measured + spread) - 1,
                "most_error": predicted / (measured - spread) - 1 if spread < measured else 0,
                "tip": f"{'Start' if step.iteration == 0 else f'Iteration {step.iteration}'}\n"
                f"predicted {amount(predicted, unit)}\nmeasured {amount(measured, unit)} ± {number(spread)}\n"
                f"off by {together(f'{errors[step.iteration]:+.2%}')}",
            }
        )
    ends = [{"measured": side, "predicted": side, "order": side} for side in _ends(rows)]
    x, y = quantity("measured", f"measured, {unit}"), quantity("predicted", f"predicted, {unit}")
    spread_of = whiskers(rows, {**x, "field": "least"}, y, {"x2": {"field": "most"}})
    against = framed(280, [line(ends, x, y, FAINT), spread_of, dots(rows, x, y)])
    x = count("iteration", "iteration", steps[-1].iteration)
    y = quantity("error", "error of the prediction", zero=True, format="+.1%")
    spread_of = whiskers(rows, x, {**y, "field": "least_error"}, {"y2": {"field": "most_error"}})
    by_iteration = framed(280, [spread_of, dots(rows, x, y)])
    later = [abs(errors[step.iteration]) for step in steps[1:]]
    words = (
        f"the start's prediction is off by {together(f'{errors[steps[0].iteration]:+.1%}')}, those of "
        f"{counted(len(later), 'iteration')} by {share(max(later), 1)} at most and {share(sum(later), len(later))} on "
        "average."
    )
    return [
        Chart(f"{title}: predicted and measured", f"{title}: {words}", against),
        Chart(f"{title}: error by iteration", f"{title}: {words}", by_iteration),
    ]


def _ends(rows: Sequence[Row]) -> tuple[float, float]:
    values = [row[side] for row in rows for side in ("measured", "predicted")]
    return min(values), max(values)


def schedule(run: RunRecord) -> Section:
    """What each iteration was allowed, and what it came to."""
    charts = [chart for resource in run.resources for chart in _schedule_chart(run, resource)]
    settings = [
        f"{name.replace('_', ' ')} {run.config[name]}"
        for name in ("initial_reduction", "reduction_decay")
        if name in run.config
    ]
    return Section(
        key="schedule",
        title="The schedule",
        text=[
            "Every iteration must save the next step of the schedule"
            + (f" ({', '.join(settings)})" if settings else "")
            + ", counted from what the network before it costs; no step aims below the budget."
        ],
        charts=charts,
    )


def _schedule_chart(run: RunRecord, resource: str) -> list[Chart]:
    steps = [step for step in run.steps if resource in step.measured]
    if len(steps) < 2:
        return []
    unit, title, how = unit_of(resource, [run]), title_of(resource), run.how(resource)
    allowed = [
        {
            "iteration": step.iteration,
            "cost": step.constraint[resource],
            "kind": "allowed",
            "tip": f"Iteration {step.iteration}\nallowed {amount(step.constraint[resource], unit)}",
        }
        for step in steps
        if resource in step.constraint
    ]
    measured = [
        {
            "iteration": step.iteration,
            "cost": step.measured[resource],
            "kind": how,
            "tip": f"{'Start' if step.iteration == 0 else f'Iteration {step.iteration}'}\n"
            f"{how} {amount(step.measured[resource], unit)}",
        }
        for step in steps
    ]
    x, y = count("iteration", "iteration", steps[-1].iteration), quantity("cost", f"{title}, {unit}")
    kinds = {how: (SERIES[0], "circle"), "allowed": (SERIES[1], FLAT)}
    spec = kinds_of_dots([*measured, *allowed], x, y, kinds, 280)
    spec["layer"] = [*_limit_rule(run, resource, "y"), *spec["layer"]]
    description = (
        f"{title} by iteration: {amount(steps[0].measured[resource], unit)} at the start, "
        f"{amount(steps[-1].measured[resource], unit)} after {counted(steps[-1].iteration, 'iteration')}."
    )
    return [Chart(f"{title}: allowed and {how}", description, spec)]
