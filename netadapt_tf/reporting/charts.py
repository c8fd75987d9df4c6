"""The report's pictures in Vega-Lite: what they have in common, and the kinds there are.

Colours are variables of the page's style sheet, which follow light, dark and paper. Every mark has the text that is
shown beside it on hover as its field `tip`, written where its data are; lines of it stay lines.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

BEFORE, AFTER = "before", "after"

SERIES = tuple(f"var(--series-{number})" for number in range(1, 8))
SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-right")
FLAT = "M-1.6,-0.2H1.6V0.2H-1.6Z"
"""A shape like a dash, as SVG writes paths."""

_TIP = {"field": "tip", "type": "nominal"}
_SMALL = 11
_TICKS = 10
_BAR_STEP = 11
INK, LOUD, FAINT = "var(--ink)", "var(--loud)", "var(--faint)"
_SOFT, _LINE = "var(--soft)", "var(--line)"
_NAMES = {"title": None, "ticks": False, "domain": False, "labelColor": INK, "labelPadding": 6}
_BESIDE = {"type": "text", "align": "left", "dx": 5}
_ROOM, _MORE_ROOM = 1.35, 2.1  # of an axis of bars, for the texts behind them

ENDS: Mapping[str, dict[str, Any]] = {
    BEFORE: {"color": INK, "shape": "square", "size": 80},
    AFTER: {"color": LOUD, "shape": "diamond", "size": 140},
}
"""How the first and the last of a row of points are drawn."""

CONFIG: Mapping[str, Any] = {
    "aria": False,  # the page describes each chart as a whole
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _SOFT,
        "titleColor": _SOFT,
        "gridColor": _LINE,
        "domainColor": _LINE,
        "tickColor": _LINE,
        "labelFontSize": _SMALL,
        "titleFontSize": _SMALL,
        "titleFontWeight": "normal",
        "labelLimit": 132,
        "titlePadding": 8,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": _SMALL + 1,
        "labelLimit": 260,
        "symbolStrokeColor": "transparent",
    },
    "text": {"color": INK, "fontSize": _SMALL},
}
"""What all charts have in common."""


def framed(height: int | Mapping[str, int], layers: Sequence[Row], **more: Any) -> dict[str, Any]:
    """Layers of marks over one another, as wide as the page allows."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "layer": list(layers),
        **more,
    }


def quantity(field: str, title: str, zero: bool = False, **axis: Any) -> dict[str, Any]:
    """An axis of numbers."""
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"zero": zero, "nice": True} if zero else {"zero": False, "nice": False, "padding": 12},
        "axis": {"title": title, "tickCount": 5, **axis},
    }


def count(field: str, title: str, most: int) -> dict[str, Any]:
    """An axis of whole numbers from 0 on."""
    step = -(-max(most, 1) // _TICKS)
    axis = quantity(field, title, format="d", grid=False, values=list(range(0, most + 1, step)))
    return {**axis, "scale": {"domain": [0, max(most, 1)], "nice": False, "padding": 10}}


def dots(rows: Sequence[Row], x: Row, y: Row, color: str = SERIES[0], **mark: Any) -> dict[str, Any]:
    """A point for each row."""
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1, "color": color, **mark},
        "encoding": {"x": x, "y": y, "tooltip": _TIP},
    }


def line(rows: Sequence[Row], x: Row, y: Row, color: str = SERIES[0], **mark: Any) -> dict[str, Any]:
    """A line through the rows in their order."""
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "line", "strokeWidth": 1.5, "color": color, **mark},
        "encoding": {"x": x, "y": y, "order": {"field": "order", "type": "quantitative"}},
    }


def whiskers(rows: Sequence[Row], x: Row, y: Row, until: Row) -> dict[str, Any]:
    """How far a value may be off: a thin line from `x` and `y` on."""
    return {
        "data": {"values": list(rows)},
        "mark": {"type": "rule", "color": SERIES[0], "opacity": 0.6},
        "encoding": {"x": x, "y": y, **until},
    }


def rule(value: float, along: str, text: str) -> list[dict[str, Any]]:
    """A dashed line at a value of axis `along`, x or y, and what it says."""
    is_x = along == "x"
    beside = (
        {"align": "left", "dx": 4, "y": 8}
        if is_x
        else {"align": "left", "baseline": "bottom", "dx": 4, "dy": -3, "x": 0}
    )
    data = {"values": [{"value": value, "tip": text}]}
    place = {along: {"field": "value", "type": "quantitative"}}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "color": LOUD, "strokeDash": [5, 4], "strokeWidth": 1.5},
            "encoding": place,
        },
        {"data": data, "mark": {"type": "text", "color": LOUD, "text": text, **beside}, "encoding": place},
    ]


def bars(rows: Sequence[Row], title: str) -> dict[str, Any]:
    """Two bars for each name, before and after, and what became of it.

    Args:
        rows: with `name`, `side`, `value` and `tip`; one of each name has a `text`, and where that begins, `end`.
        title: of the axis.
    """
    y = {"field": "name", "type": "nominal", "sort": None, "axis": _NAMES, "scale": {"paddingInner": 0.3}}
    x = _with_room(_ROOM, quantity("value", title, zero=True), rows)
    color = {"domain": [BEFORE, AFTER], "range": [FAINT, SERIES[0]]}
    return framed(
        {"step": _BAR_STEP},
        [
            {
                "mark": {"type": "bar"},
                "encoding": {
                    "x": {**x, "stack": None},
                    "yOffset": {"field": "side", "sort": [BEFORE, AFTER]},
                    "color": {"field": "side", "type": "nominal", "scale": color},
                    "tooltip": _TIP,
                },
            },
            {
                "transform": [{"filter": "isValid(datum.text)"}],
                "mark": _BESIDE,
                "encoding": {"x": {**x, "field": "end"}, "text": {"field": "text", "type": "nominal"}},
            },
        ],
        data={"values": list(rows)},
        encoding={"y": y},
    )


def labelled_bars(rows: Sequence[Row], title: str) -> dict[str, Any]:
    """A bar for each name, and its `text` behind it; rows have `name`, `value`, `text` and `tip`."""
    x = _with_room(_MORE_ROOM, quantity("value", title, zero=True, grid=False), rows)
    return framed(
        {"step": 24},
        [
            {"mark": {"type": "bar", "color": SERIES[0]}, "encoding": {"tooltip": _TIP}},
            {"mark": _BESIDE, "encoding": {"text": {"field": "text", "type": "nominal"}}},
        ],
        data={"values": list(rows)},
        encoding={"x": x, "y": {"field": "name", "type": "nominal", "sort": None, "axis": _NAMES}},
    )


def _with_room(room: float, axis: Row, rows: Sequence[Row]) -> dict[str, Any]:
    return {**axis, "scale": {"domain": [0, room * max(row["value"] for row in rows) or 1], "nice": False}}


def kinds_of_dots(
    rows: Sequence[Row], x: Row, y: Row, kinds: Mapping[str, tuple[str, str]], height: int = 300
) -> dict[str, Any]:
    """Points of several kinds; rows have `kind` and `tip`.

    Args:
        rows: the points; later ones lie above.
        x: an axis.
        y: the other.
        kinds: colour and shape by kind.
        height: in pixels.
    """
    colors, shapes = zip(*kinds.values(), strict=True)
    layer = dots(rows, x, y, size=90)
    layer["mark"].pop("color")
    layer["encoding"] |= {
        channel: {"field": "kind", "type": "nominal", "scale": {"domain": list(kinds), "range": list(values)}}
        for channel, values in (("color", colors), ("shape", shapes))
    }
    return framed(height, [layer])


def curves(rows: Sequence[Row], x: Row, y: Row, names: Sequence[str], height: int = 360) -> dict[str, Any]:
    """A line with points for each name, with a colour and a shape of its own; rows have `kind`, `order` and `tip`."""
    kinds = {
        name: (SERIES[number % len(SERIES)], SHAPES[(number + number // len(SERIES)) % len(SHAPES)])
        for number, name in enumerate(names)
    }
    spec = kinds_of_dots(rows, x, y, kinds, height)
    (points,) = spec["layer"]
    lines = line(rows, x, y)
    lines["mark"].pop("color")
    lines["encoding"]["color"] = points["encoding"]["color"]
    return {**spec, "layer": [lines, points]}
