"""A document as Markdown, for mail and chat: no pictures, but their shape in a line."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, assert_never

from services.reports.document import (
    Block,
    Cell,
    Chart,
    Column,
    Document,
    Goal,
    Goals,
    Heading,
    Indicator,
    Indicators,
    Item,
    Items,
    Mark,
    Note,
    ProgressPlot,
    Result,
    Section,
    SeriesPlot,
    Table,
)

STEPS: Final = "▁▂▃▄▅▆▇█"
MARKUP: Final = re.compile(
    r"[\\`*_{\[\]<>#|~&$@^]"  # anywhere, in Markdown or one of its dialects
    r"|:(?=//)|(?<=\bwww)\."  # what would turn an address into a link
    r"|\A[-+=](?=[-+=\s]|\Z)|(?<=\A\d)[.)](?=\s)|(?<=\A\d\d)[.)](?=\s)"  # a list or a rule
)
RESULT_COLUMNS: Final = (
    Column("key result"),
    Column("measure, owner"),
    Column("reached", is_number=True),
    Column("done", is_number=True),
    Column("health"),
)


def text(of: Document) -> bytes:
    """The document, in UTF-8."""
    return "".join(f"{line}\n" for line in _lines(of)).encode()


def _lines(of: Document) -> Iterator[str]:
    yield f"# {plain(of.title)}"
    yield ""
    yield f"**{plain(of.kicker)}**"
    yield ""
    yield plain(of.subtitle)
    yield ""
    for figure in of.figures:
        note = f" ({plain(figure.note)})" if figure.note else ""
        yield f"- {plain(figure.label)}: **{plain(figure.value)}**{note}"
    for section in of.sections:
        yield from _section(section)
    yield ""
    yield "---"
    for line in of.foot:
        yield ""
        yield plain(line)


def _section(of: Section) -> Iterator[str]:
    yield ""
    yield f"## {plain(of.heading)}"
    for block in of.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    yield ""
    match block:
        case Note():
            yield plain(block.text)
        case Heading():
            yield f"### {plain(block.text)}"
        case Items():
            for item in block.items:
                yield _item(item)
        case Table():
            yield from _table(block.columns, block.rows)
        case Goals():
            yield f"### {plain(block.heading)}"
            for goal in block.goals:
                yield ""
                yield from _goal(goal)
        case Indicators():
            for indicator in block.indicators:
                yield _indicator(indicator)
        case _:
            assert_never(block)


def _item(of: Item) -> str:
    parts = [_mark(of.mark)] if of.mark else []
    if of.title:
        parts.append(f"**{plain(of.title)}**")
    if of.text:
        parts.append(f"{'– ' if parts else ''}{plain(of.text)}")
    if of.quote:
        parts.append(f"“{plain(of.quote)}”")
    if of.by:
        parts.append(f"({plain(of.by)})")
    return f"- {' '.join(parts)}"


def _goal(of: Goal) -> Iterator[str]:
    yield f"#### {plain(of.title)}"
    yield ""
    score = f", score {plain(of.score)}" if of.score else ""
    yield f"{_mark(of.mark)}{score} · {plain(' · '.join(of.facts))}"
    if of.quote:
        yield ""
        yield f"> {plain(of.quote)}"
    yield ""
    if not of.results:
        yield "It has no key results."
        return
    has_charts = any(result.chart for result in of.results)
    columns = (*RESULT_COLUMNS, Column("by week")) if has_charts else RESULT_COLUMNS
    yield from _table(columns, [_result(each, has_charts=has_charts) for each in of.results])


def _result(of: Result, *, has_charts: bool) -> tuple[Cell, ...]:
    score = f"score {of.score}" if of.score else ""
    note = f"{score}: {of.note}" if of.note else score
    return (
        Cell(of.title),
        Cell(" · ".join(of.facts)),
        Cell(of.reached),
        Cell(of.done),
        Cell(note=note, mark=of.mark),
        *((Cell(_shape(of.chart)),) if has_charts else ()),
    )


def _indicator(of: Indicator) -> str:
    shape = _shape(of.chart)
    told = f"- {_mark(of.mark)} **{plain(of.title)}** – {plain(of.value)}"
    return " · ".join(filter(None, (told, plain(" · ".join(of.facts)), shape)))


def _shape(of: Chart | None) -> str:
    """Progress from 0 to 1, readings from the least to the greatest; a gap where there is none."""
    match of.plot if of else None:
        case ProgressPlot(progress=progress):
            return _spark(progress, Decimal(0), Decimal(1))
        case SeriesPlot(readings=readings):
            values = [each.value for each in readings]
            known = [each for each in values if each is not None]
            return _spark(values, min(known), max(known)) if known else ""
        case None:
            return ""


def _spark(values: Sequence[Decimal | None], low: Decimal, high: Decimal) -> str:
    room = (high - low) or Decimal(1)
    last = len(STEPS) - 1
    return "".join(
        " " if each is None else STEPS[max(0, min(int((each - low) / room * last), last))]
        for each in values
    )


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    yield f"| {' | '.join(plain(column.heading) for column in columns)} |"
    yield f"| {' | '.join('---:' if column.is_number else '---' for column in columns)} |"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(of: Cell) -> str:
    parts = ["↳"] if of.is_below else []
    if of.mark:
        parts.append(_mark(of.mark))
    if of.text:
        parts.append(plain(of.text))
    if of.note:
        parts.append(f"({plain(of.note)})")
    return " ".join(parts)


def _mark(of: Mark) -> str:
    return f"{of.symbol} {plain(of.word)}"


def plain(words: str) -> str:
    """On one line, and nothing of it taken for Markdown, HTML, a link or a mention."""
    return MARKUP.sub(r"\\\g<0>", " ".join(words.split()))
