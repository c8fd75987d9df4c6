"""The report on the network: filters and latency, group by group and layer by layer, before and after."""

from collections.abc import Mapping, Sequence
from typing import Any

from netadapt_tf.figures import number
from netadapt_tf.reporting.charts import AFTER, BEFORE, ENDS, Row, bars, dots, framed, line, quantity
from netadapt_tf.reporting.figures import amount, share
from netadapt_tf.reporting.page import Chart, Section, Table
from netadapt_tf.reporting.run_record import RunRecord

_MICROSECONDS = "\N{MICRO SIGN}s"


def filters(run: RunRecord) -> Section:
    """Which channel groups paid for it."""
    if run.last is None or not run.last.widths:
        return Section("filters", "Filters", ["The widths of no iteration are known."])
    before, after = run.steps[0].widths, run.last.widths
    rows = _pairs(
        [
            (name, before.get(name), left, f"{name}: {number(before.get(name))} → {left} filters")
            for name, left in after.items()
        ]
    )
    cut = [name for name, left in after.items() if left != before.get(name)]
    words = f"{len(cut)} of {len(after)} channel groups shrank."
    return Section(
        key="filters",
        title="Filters",
        text=[f"{words} Groups that cannot shrink are not shown."],
        charts=[Chart("Filters of each channel group", f"Filters before and after: {words}", bars(rows, "filters"))],
        tables=[
            Table(
                "Filters of each channel group",
                ["channel group", "before", "after", "after / before"],
                [
                    [name, number(before.get(name)), str(left), share(left, before.get(name))]
                    for name, left in after.items()
                ],
            )
        ],
    )


def _scale(record: Mapping[str, Any]) -> tuple[str, float]:
    """The unit in which the latency of layers has the fewest zeros, and how many of it a millisecond is."""
    known = [_ms(layer, side) or 0.0 for layer in record["layers"] for side in (BEFORE, AFTER)]
    return ("ms", 1.0) if max(known) >= 1 else (_MICROSECONDS, 1000.0)


def layers(run: RunRecord) -> Section:
    """Where the latency is, and was."""
    return Section(
        key="layers",
        title="Latency by layer",
        text=[
            "Of each layer alone, by the latency table; what the whole network takes is "
            + ("their sum." if run.is_from_table else "measured, above."),
            *(
                []
                if run.last is None or run.last.iteration == 0 or any(r["staircases"] for r in run.layers.values())
                else ["There are no staircases: the search asked the latency table for no layer at other widths."]
            ),
        ],
        charts=[chart for target, record in run.layers.items() for chart in _layers_chart(target, record)],
        tables=[_layers_table(target, record) for target, record in run.layers.items()],
    )


def _layers_chart(target: str, record: Mapping[str, Any]) -> list[Chart]:
    unit, scale = _scale(record)
    names = _unique([_name(layer) for layer in record["layers"]])
    known = [pair for pair in zip(names, record["layers"], strict=True) if _ms(pair[1], BEFORE) is not None]
    if not known:
        return []
    rows = _pairs(
        [
            (name, _times(_ms(layer, BEFORE), scale), _times(_ms(layer, AFTER), scale), _layer_tip(name, layer))
            for name, layer in known
        ]
    )
    total = {side: sum(_ms(layer, side) or 0 for _, layer in known) for side in (BEFORE, AFTER)}
    words = (
        f"{len(known)} layers, {amount(total[BEFORE], 'ms')} before and {amount(total[AFTER], 'ms')} after in all, and "
        f"{amount(record['call_ms'], 'ms')} for one run besides them."
    )
    return [Chart(f"Latency of each layer on {target}", words, bars(rows, unit))]


def _name(layer: Mapping[str, Any]) -> str:
    """Of a layer, or of the operator where no layer is known."""
    return layer["kind"] if layer["name"].isdecimal() else layer["name"]


def _ms(layer: Mapping[str, Any], side: str) -> float | None:
    return layer[side]["latency_ms"]


def _times(latency_ms: float | None, scale: float) -> float | None:
    return None if latency_ms is None else latency_ms * scale


def _layer_tip(name: str, layer: Mapping[str, Any]) -> str:
    sides = [f"{side}: {amount(_ms(layer, side), 'ms')}, {_shape(layer, side)}" for side in (BEFORE, AFTER)]
    return "\n".join([f"{name}, {layer['kind']}", *sides])


def _shape(layer: Mapping[str, Any], side: str) -> str:
    return "x".join(str(size) for size in layer[side].get("output_shape", [])[1:])


def _layers_table(target: str, record: Mapping[str, Any]) -> Table:
    unit, scale = _scale(record)
    head = ["layer", "operator", "output before", "output after", f"{unit} before", f"{unit} after", "after / before"]
    rows = [
        [
            layer["name"],
            layer["kind"],
            _shape(layer, BEFORE),
            _shape(layer, AFTER),
            number(_times(_ms(layer, BEFORE), scale)),
            number(_times(_ms(layer, AFTER), scale)),
            share(_ms(layer, AFTER), _ms(layer, BEFORE)),
        ]
        for layer in record["layers"]
    ]
    call = number(_times(record["call_ms"], scale))
    return Table(f"Layers on {target}", head, [*rows, ["one run, besides", "", "", "", call, call, ""]], figures_from=2)


def staircases(run: RunRecord) -> Section:
    """Why numbers of filters are what they are."""
    pictures = [
        _staircase_chart(target, stair, *_scale(record))
        for target, record in run.layers.items()
        for stair in record["staircases"]
    ]
    return Section(
        key="staircases",
        title="Staircases of the groups that saved most",
        text=[
            "The latency of the layers that a group is part of, summed, at every number of filters that the search "
            "looked at, all other groups as at the start. Where it falls in steps, the top of a stair costs no more "
            "than its other filters: there the search stops. The square is the start, the diamond what was chosen."
        ],
        charts=[chart for charts in pictures for chart in charts],
        tables=[
            Table(
                f"{stair['group']} on {target}",
                ["filters", _scale(record)[0]],
                [
                    [str(f), number(_times(ms, _scale(record)[1]))]
                    for f, ms in zip(stair["filters"], stair["latency_ms"], strict=True)
                ],
                marked=[p for p, f in enumerate(stair["filters"]) if f == stair["after"]],
                figures_from=0,
            )
            for target, record in run.layers.items()
            for stair in record["staircases"]
        ],
        are_small=True,
    )


def _staircase_chart(target: str, stair: Mapping[str, Any], unit: str, scale: float) -> list[Chart]:
    pairs = zip(stair["filters"], stair["latency_ms"], strict=True)
    rows = [
        {
            "filters": f,
            "latency": ms * scale,
            "order": f,
            "tip": f"{stair['group']} at {f} filters: {amount(ms * scale, unit)}",
        }
        for f, ms in pairs
        if ms is not None
    ]
    if len(rows) < 2:
        return []
    x = quantity("filters", "filters", zero=True, tickMinStep=1, grid=False)
    y = quantity("latency", unit, zero=True)
    ends = {side: [row for row in rows if row["filters"] == stair[side]] for side in (BEFORE, AFTER)}
    picture = [
        line(rows, x, y, interpolate="step-before"),
        dots(rows, x, y, size=16),
        *(dots(ends[side], x, y, **ENDS[side]) for side in (BEFORE, AFTER) if ends[side]),
    ]
    at = {side: amount(ends[side][0]["latency"], unit) if ends[side] else "not known" for side in (BEFORE, AFTER)}
    words = (
        f"{stair['group']} on {target}: {stair[BEFORE]} filters, {at[BEFORE]}, before; {stair[AFTER]} filters, "
        f"{at[AFTER]}, after."
    )
    return [Chart(f"{stair['group']} on {target}", words, framed(200, picture))]


def _pairs(entries: Sequence[tuple[str, float | None, float | None, str]]) -> Sequence[Row]:
    """Rows for `bars`: name, before, after, and what is shown on hover."""
    rows: list[dict[str, Any]] = []
    for name, before, after, tip in entries:
        sides = [(side, value) for side, value in ((BEFORE, before), (AFTER, after)) if value is not None]
        rows += [{"name": name, "side": side, "value": value, "tip": tip} for side, value in sides]
        if sides:
            text = number(before, 3) if before == after else f"{number(before, 3)} → {number(after, 3)}"
            rows[-1] |= {"text": text, "end": max(value for _, value in sides)}
    return rows


def _unique(names: Sequence[str]) -> list[str]:
    """Names with a number behind those that were there already."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result
