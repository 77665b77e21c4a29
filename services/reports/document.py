"""What a report is made of, whatever it is about and however it is shown.

Everything in it is plain text: whoever shows it sees to it that nothing of it is taken for markup.
"""

from datetime import date
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

Tone = Literal["good", "warning", "bad", "neutral"]
SYMBOLS: Final[dict[Tone, str]] = {"good": "●", "warning": "▲", "bad": "■", "neutral": "○"}
"""A shape for each tone: colour is never the only thing that tells."""


class Mark(Struct, frozen=True):
    """A word that is judged, with its tone."""

    word: str
    tone: Tone = "neutral"

    @property
    def symbol(self) -> str:
        """The shape of its tone."""
        return SYMBOLS[self.tone]


class Figure(Struct, frozen=True):
    """A number on top: what it is, the number, and what to know about it."""

    label: str
    value: str
    note: str = ""


class Cell(Struct, frozen=True):
    """A cell of a table: its text, smaller text below it, and a mark before both.

    A row whose first cell `is_below` belongs to the one above it.
    """

    text: str = ""
    note: str = ""
    mark: Mark | None = None
    is_below: bool = False


class Column(Struct, frozen=True):
    """A column of a table; numbers stand to the right."""

    heading: str
    is_number: bool = False


class Table(Struct, frozen=True):
    """Rows of as many cells as there are columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


class ProgressPlot(Struct, frozen=True):
    """Progress, 0 to 1 and sometimes more, at the end of each week of a span.

    The expected pace goes straight from 0 at its beginning to 1 at its end.
    """

    days: tuple[date, ...]
    progress: tuple[Decimal | None, ...]
    span: tuple[date, date]


class PlottedReading(Struct, frozen=True):
    """A reading with the target and the ends of the bands in force; None, open on that side.

    Without a value it was missed.
    """

    day: date
    value: Decimal | None
    tone: Tone
    is_corrected: bool = False
    target: Decimal | None = None
    has_bands: bool = False
    healthy: tuple[Decimal | None, Decimal | None] = (None, None)
    warning: tuple[Decimal | None, Decimal | None] = (None, None)


class SeriesPlot(Struct, frozen=True):
    """The readings of a KPI in order; `span` is the time that the report is about."""

    readings: tuple[PlottedReading, ...]
    span: tuple[date, date]


class Chart(Struct, frozen=True):
    """A picture, what it shows in words, and the numbers behind it."""

    title: str
    description: str
    plot: ProgressPlot | SeriesPlot
    table: Table


class Result(Struct, frozen=True):
    """A key result: a row of its objective."""

    title: str
    facts: tuple[str, ...]
    reached: str
    done: str
    mark: Mark
    score: str = ""
    note: str = ""
    chart: Chart | None = None


class Goal(Struct, frozen=True):
    """An objective with its key results; `progress` and `pace` are shares, 0 to 1."""

    title: str
    mark: Mark
    facts: tuple[str, ...]
    score: str = ""
    quote: str = ""
    progress: Decimal | None = None
    pace: Decimal | None = None
    results: tuple[Result, ...] = ()


class Indicator(Struct, frozen=True):
    """A KPI with its latest reading and its series."""

    title: str
    mark: Mark
    value: str
    facts: tuple[str, ...]
    chart: Chart | None = None


class Item(Struct, frozen=True):
    """One of several things that are told: what it is about, what happened, and in whose words."""

    title: str
    text: str = ""
    quote: str = ""
    by: str = ""
    mark: Mark | None = None


class Items(Struct, frozen=True):
    items: tuple[Item, ...]


class Goals(Struct, frozen=True):
    """Objectives below a heading, such as the name of their unit."""

    heading: str
    goals: tuple[Goal, ...]


class Indicators(Struct, frozen=True):
    indicators: tuple[Indicator, ...]


class Note(Struct, frozen=True):
    """A sentence of the report itself, such as that there is nothing to tell."""

    text: str


class Heading(Struct, frozen=True):
    text: str


Block = Items | Goals | Indicators | Note | Heading | Table


class Section(Struct, frozen=True):
    """A part of the report with a heading; `anchor` names it within the document.

    The legend says what its pictures show, where there are any.
    """

    anchor: str
    heading: str
    blocks: tuple[Block, ...]
    legend: str = ""


class Document(Struct, frozen=True):
    """A whole report: `kicker` says which kind, `foot` what it reflects.

    `day` is the date it bears: that of what it reflects, not of the moment it was made.
    """

    kicker: str
    title: str
    subtitle: str
    day: date
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    foot: tuple[str, ...]
