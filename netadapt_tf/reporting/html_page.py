"""A report as HTML: the template, its style sheet and script, and Vega, which draws the charts in the browser.

vl-convert compiles the charts from Vega-Lite, so that a wrong one fails here and not where it is read, and bundles
Vega: about 0.9 MB, which is nearly all of a report. Whatever comes from a run directory is escaped.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert

from netadapt_tf.reporting.charts import CONFIG
from netadapt_tf.reporting.page import Page

_TEMPLATE = Path(__file__).parent / "template"
_BREAKS = re.compile(r"(?<=[/@=:,])(?=[^\W\d])")
"""Where a line may end in a budget, a target or a path, but never in a figure: else they would widen a table."""


def html_of(page: Page) -> str:
    """The whole file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["compiled"] = compiled
    environment.filters["parts"] = _BREAKS.split
    return environment.get_template("report.html.j2").render(
        page=page,
        style=_own("report.css"),
        script=_own("report.js"),
        notices=_own("notices.txt"),
        vega=_vega(),
        vega_version=vl_convert.get_vega_version(),
    )


def compiled(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A chart in Vega.

    Raises:
        ValueError: it is not in Vega-Lite.
    """
    return vl_convert.vegalite_to_vega({**spec, "config": CONFIG})


def _own(name: str) -> str:
    return (_TEMPLATE / name).read_text(encoding="utf-8")


@cache
def _vega() -> str:
    """Vega as one script; `</script` and `<!--` would end that, or begin a comment."""
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
