"""What a report is made of: sections of sentences, charts and tables, before any of it is HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Figures side by side; the first cell of a row says what the row is about.

    Attributes:
        caption: what it shows.
        head: titles of the columns.
        rows: as many texts each.
        marked: positions of rows that stand out.
        figures_from: the column from which on texts are set to the right, as numbers are.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: Sequence[int] = ()
    figures_from: int = 1


@dataclass(frozen=True)
class Chart:
    """A picture.

    Attributes:
        title: what it shows.
        description: the same for those who do not see it, with the figures that matter.
        spec: in Vega-Lite, without what all charts have in common.
    """

    title: str
    description: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """A question, and its answer.

    Attributes:
        key: for links to it; letters and hyphens.
        title: the heading.
        text: sentences, one a paragraph.
        charts: pictures.
        tables: under the pictures, folded.
        shown: tables that are not folded.
        listing: text to be copied as it stands.
        are_small: whether pictures stand side by side.
    """

    key: str
    title: str
    text: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    shown: Sequence[Table] = ()
    listing: str = ""
    are_small: bool = False


@dataclass(frozen=True)
class Card:
    """One figure before and after, as the head of the report shows it.

    Attributes:
        title: what it is.
        before: of the starting network.
        after: of the adapted one.
        change: from the one to the other.
    """

    title: str
    before: str
    after: str
    change: str


@dataclass(frozen=True)
class Verdict:
    """A budget, and whether it is met; None where that is not known yet."""

    budget: str
    met: bool | None
    text: str


@dataclass(frozen=True)
class Account:
    """All that is said of one run.

    Attributes:
        key: for links to it.
        name: the run directory's.
        headline: the answer in one sentence.
        cards: the answer in figures.
        verdicts: on the budgets.
        remarks: on what is missing, and on the device.
        sections: why to believe it.
    """

    key: str
    name: str
    headline: str
    cards: Sequence[Card]
    verdicts: Sequence[Verdict]
    remarks: Sequence[str]
    sections: Sequence[Section]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: of the document.
        comparison: of several runs; empty for one.
        accounts: one of each run.
    """

    title: str
    comparison: Sequence[Section]
    accounts: Sequence[Account]
