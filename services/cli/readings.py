"""`readings KPI`: an indicator's series, each period with its corrections."""

from collections.abc import Iterator
from typing import Final, assert_never

import click
import msgspec
from goal_contracts.events import Band, Formula, Ratio, Sum
from goal_contracts.queries import KpiCard, ReadingCard, Readings, ReadingSeries
from rich.console import RenderableType
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.options import System
from services.cli.printing import Row

PAGE: Final = 500
COLUMNS: Final = (
    "period",
    "value",
    "origin",
    "counts",
    "event",
    "value_was",
    "known_at",
    "recorded_at",
    "effective_at",
    "actor",
    "source",
    "reason",
    "provenance",
    "definition_version",
    "numerator",
    "denominator",
    "position",
    "corrects",
)


@click.command(
    "readings",
    epilog="Example: goal-ledger readings claimants --known-at 2022-03-01",
    short_help="An indicator's series with its corrections.",
)
@click.argument("kpi", type=options.ID_TYPE)
@click.option(
    "--as-of",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="Only periods that had ended by this date.",
)
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="By what was known on this date: later readings and corrections are left out.",
)
@options.output_format
@options.connected
def readings(
    system: System, output_format: str, kpi: str, as_of: str | None, known_at: str | None
) -> None:
    """Show the values of KPI by period, each with the corrections that followed it."""
    query = Readings(kpi=kpi, as_of=as_of, known_at=known_at, limit=PAGE)

    async def ask(client: Client) -> ReadingSeries:
        return await _all_readings(system, client, query)

    series = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(series)
        case "csv":
            printing.as_csv(COLUMNS, rows(series))
        case _:
            printing.show(*drawn(series, is_wide=printing.is_wide()))


async def _all_readings(system: System, client: Client, query: Readings) -> ReadingSeries:
    cards: list[ReadingCard] = []
    while True:
        page = await system.ask(client, query, ReadingSeries)
        cards += page.readings
        if page.cursor is None:
            return msgspec.structs.replace(page, readings=tuple(cards))
        query = msgspec.structs.replace(query, cursor=page.cursor)


def rows(series: ReadingSeries) -> Iterator[Row]:
    """One row for each value that was recorded, corrected or taken back."""
    for card in series.readings:
        yield {column: getattr(card, column) for column in COLUMNS}


def drawn(series: ReadingSeries, *, is_wide: bool) -> list[RenderableType]:
    """What the KPI is, and its values; a value that no longer counts is dim."""
    definition = series.kpi.definition
    about = f"{definition.unit}, {definition.frequency}, owner {series.kpi.owner}"
    if definition.target is not None:
        about += f", target {wording.number(definition.target)}"
    if definition.formula is not None:
        about += f", computed from {' and '.join(_sources(definition.formula))}"
    table = printing.grid(
        ("Period", "left"),
        ("Value", "right"),
        ("", "fold"),
        ("Known", "left"),
        ("By", "fold"),
        ("Why", "fold"),
        *((("Source", "fold"), ("From", "fold"), ("Position", "right")) if is_wide else ()),
    )
    last_period = None
    for card in series.readings:
        is_first = (card.period, card.source) != last_period
        last_period = (card.period, card.source)
        style = "" if card.counts else "dim"
        cells = [
            Text(wording.period(card.period) if is_first else "", style),
            Text(wording.number(card.value), style or "bold"),
            Text(_what(card), style),
            Text(wording.day(card.known_at), style),
            Text(card.actor, style),
            Text(card.reason or "", style),
            Text(card.source, style),
            Text(card.provenance or "", style),
            Text(f"@{card.position}", style),
        ]
        table.add_row(*cells[: len(table.columns)])
    return [
        goal_tree.reflects(f"{definition.name} ({series.kpi.kpi_id})", series.reflects),
        Text(about, "dim"),
        *_judged(series.kpi),
        "",
        table if series.readings else "There was no reading yet.",
    ]


def _judged(kpi: KpiCard) -> list[RenderableType]:
    """How healthy it is by its bands, and every review it had."""
    lines: list[RenderableType] = []
    bands = kpi.definition.bands
    if bands is not None:
        words = f" (healthy {_band(bands.healthy)}, a warning {_band(bands.warning)})"
        lines.append(goal_tree.kpi_health(kpi.health).append(words, "dim"))
    for each in kpi.reviews:
        why = each.reason if each.closed_at is None else each.decision_reason
        line = Text(goal_tree.review(each), "red" if each.closed_at is None else "")
        lines.append(line.append(f" ({why})" if why else "", "dim"))
    return lines


def _band(of: Band) -> str:
    if of.high is None:
        return "everywhere" if of.low is None else f"from {wording.number(of.low)}"
    if of.low is None:
        return f"up to {wording.number(of.high)}"
    return f"{wording.number(of.low)} to {wording.number(of.high)}"


def _sources(formula: Formula) -> tuple[str, ...]:
    match formula:
        case Ratio(numerator=numerator, denominator=denominator):
            return numerator, denominator
        case Sum(of=of):
            return of
        case _:
            assert_never(formula)


def _what(card: ReadingCard) -> str:
    match card.event:
        case "recorded":
            return "computed" if card.origin == "computed" else ""
        case "corrected":
            return f"corrected, was {wording.number(card.value_was)}"
        case "retracted":
            return f"taken back, was {wording.number(card.value_was)}"
        case "missed":
            return "missed"
