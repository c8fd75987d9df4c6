"""Reports taken apart: what their sections, charts and pages hold."""

import re
from html.parser import HTMLParser

from netadapt_tf.reporting.page import Page, Section
from netadapt_tf.reporting.report import page_of
from netadapt_tf.reporting.run_record import read_run

KEYS = ["trade-off", "filters", "layers", "predicted", "schedule", "time", "proposals", "staircases", "again"]


def report(*paths) -> Page:
    return page_of([read_run(path) for path in paths])


def sections(*paths) -> dict[str, Section]:
    (account,) = report(*paths).accounts
    return {section.key: section for section in account.sections}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def table(section: Section, caption: str) -> list[list[str]]:
    found = next(table for table in [*section.shown, *section.tables] if table.caption.startswith(caption))
    return [[plain(cell) for cell in row] for row in found.rows]


def rows(section: Section, chart: int = 0) -> list[dict]:
    """Data of all layers of a chart."""
    spec = section.charts[chart].spec
    data = [layer["data"]["values"] for layer in spec["layer"] if "data" in layer]
    return [row for values in ([spec["data"]["values"]] if "data" in spec else []) + data for row in values]


def specs(page: str) -> list[str]:
    """The charts of a page, as JSON."""
    return re.findall(r'<script type="application/json" id="[^"]*">(.*?)</script>', page, re.DOTALL)


class Reader(HTMLParser):
    """The text of a page outside of its scripts and styles, and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open = tag

    def handle_data(self, data):
        if self._open not in ("script", "style"):
            self.text += data
