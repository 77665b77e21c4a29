"""`insights`: where goals are heading, what nobody looks at, which KPIs moved before others."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import click
import msgspec
from goal_contracts.queries import (
    Chance,
    Forecast,
    InsightList,
    Insights,
    Leads,
    Unaligned,
    Untouched,
)
from rich.console import Group, RenderableType
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.options import System
from services.cli.printing import Row

PAGE: Final = 300
COLUMNS: Final = (
    "insight",
    "goal",
    "title",
    "owner",
    "unit_id",
    "cycle_id",
    "chance",
    "value",
    "forecast",
    "low",
    "high",
    "progress",
    "progress_forecast",
    "progress_low",
    "progress_high",
    "expected",
    "per_day",
    "points",
    "ends_on",
    "days",
    "limit_days",
    "touched_at",
    "ended",
    "leads",
    "periods",
    "frequency",
    "correlation",
    "pairs",
    "effective_pairs",
    "chance_alone",
    "why",
)
CHANCES: Final[dict[Chance, str]] = {
    "will_miss": "bold red",
    "may_miss": "yellow",
    "lands": "green",
    "too_early": "dim",
}
"""The worst first, as they are shown."""
PERIODS: Final = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
}


@click.command(
    "insights",
    epilog="""\b
Example: goal-ledger insights --cycle 2025-Q3
Example: goal-ledger insights --as-of 2025-08-31 --unit platform""",
    short_help="Where goals are heading, and what nobody looks at.",
)
@options.as_of
@options.known_at
@options.unit_and_below
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="Only the goals of this cycle.")
@options.output_format
@options.connected
def insights(
    system: System,
    output_format: str,
    as_of: str | None,
    known_at: str | None,
    unit: str | None,
    cycle: str | None,
) -> None:
    """Show what the numbers say beyond themselves.

    Where each key result comes to at the end of its cycle, if it goes on as it did (a Theil-Sen
    line with its interval at 90 %); goals that no person has touched for a while; objectives that
    serve no other; and leading KPIs that moved some periods before lagging ones of the same unit.
    """
    query = Insights(as_of=as_of, known_at=known_at, unit=unit, cycle=cycle, limit=PAGE)

    async def ask(client: Client) -> InsightList:
        return await _all_insights(system, client, query)

    answer = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(answer)
        case "csv":
            printing.as_csv(COLUMNS, rows(answer))
        case _:
            asked = f"{system.organisation} {f'as of {as_of}' if as_of else 'now'}"
            printing.show(*drawn(answer, asked, is_wide=printing.is_wide()))


async def _all_insights(system: System, client: Client, query: Insights) -> InsightList:
    """All pages of the answer as one."""
    whole = page = await system.ask(client, query, InsightList)
    while page.cursor is not None:
        page = await system.ask(
            client, msgspec.structs.replace(query, cursor=page.cursor), InsightList
        )
        whole = msgspec.structs.replace(
            whole,
            forecasts=whole.forecasts + page.forecasts,
            untouched=whole.untouched + page.untouched,
            unaligned=whole.unaligned + page.unaligned,
            leads=whole.leads + page.leads,
            pairs_compared=whole.pairs_compared + page.pairs_compared,
            pairs_too_short=whole.pairs_too_short + page.pairs_too_short,
        )
    return msgspec.structs.replace(whole, cursor=None)


def rows(answer: InsightList) -> Iterator[Row]:
    """One row for each insight; what a kind of insight does not have is empty."""
    for forecast in answer.forecasts:
        goal = f"key_result/{forecast.key_result_id}"
        yield _row("forecast", forecast) | {"goal": goal}
    for untouched in answer.untouched:
        yield _row("untouched", untouched)
    for unaligned in answer.unaligned:
        goal = f"objective/{unaligned.objective_id}"
        yield _row("unaligned", unaligned) | {"goal": goal, "ended": " ".join(unaligned.ended)}
    for led in answer.leads:
        yield _row("leads", led) | {"goal": f"kpi/{led.leading}", "leads": f"kpi/{led.lagging}"}


def _row(insight: str, of: Forecast | Untouched | Unaligned | Leads) -> dict[str, object]:
    return {column: getattr(of, column, None) for column in COLUMNS} | {
        "insight": insight,
        "leads": None,
    }


def drawn(answer: InsightList, asked: str, *, is_wide: bool) -> list[RenderableType]:
    """A part for each kind of insight; where there is nothing to tell, why."""
    return [
        goal_tree.reflects(asked, answer.reflects),
        *_part("Heading for the end of the cycle", _forecasts(answer, is_wide=is_wide)),
        *_part("Untouched", _untouched(answer)),
        *_part("Serving nothing", _unaligned(answer)),
        *_part("Moving first", _leads(answer)),
    ]


def _part(heading: str, body: RenderableType) -> list[RenderableType]:
    return ["", Text(heading, "bold"), body]


def _forecasts(answer: InsightList, *, is_wide: bool) -> RenderableType:
    if not answer.forecasts:
        return (
            "Nothing to forecast: no cycle is active, or none of its key results is a number that "
            "grows."
        )
    table = printing.grid(
        ("", "left"),
        ("Key result", "fold"),
        ("Owner", "fold"),
        ("Now", "right"),
        ("Then", "right"),
        ("Done then", "left"),
        ("Needs", "right"),
        *((("Values", "right"), ("Ends", "left"), ("Id", "fold")) if is_wide else ()),
    )
    worst_first = list(CHANCES)
    told = [each for each in answer.forecasts if is_wide or each.chance != "too_early"]
    for each in sorted(told, key=lambda of: worst_first.index(of.chance)):
        then = Text(_then(each)) if each.forecast is not None else Text(each.why, "dim")
        cells = [
            Text(wording.spaced(each.chance), CHANCES[each.chance]),
            Text(each.title),
            Text(each.owner),
            Text(wording.number(each.value)),
            Text(wording.number(_short(each.forecast))),
            then,
            Text(wording.percent(each.expected)),
            Text(str(each.points)),
            Text(wording.day(each.ends_on)),
            Text(each.key_result_id, "dim"),
        ]
        table.add_row(*cells[: len(table.columns)])
    early = len(answer.forecasts) - len(told)
    if not early:
        return table
    more = Text(f"Of {early} more it is too early to say: their values are too few.", "dim")
    return Group(table, more) if told else more


def _then(of: Forecast) -> str:
    """`96 % (88 to 100 %)`."""
    low, high = wording.percent(of.progress_low), wording.percent(of.progress_high)
    return f"{wording.percent(of.progress_forecast)} ({low.removesuffix(' %')} to {high})"


def _short(number: Decimal | None) -> Decimal | None:
    """Four digits are enough for what is only likely."""
    if number is None or number == 0:
        return number
    return round(number, max(3 - number.adjusted(), 0))


def _untouched(answer: InsightList) -> RenderableType:
    if not answer.untouched:
        return "No goal that is pursued was left alone for long."
    table = printing.grid(
        ("Goal", "fold"),
        ("Owner", "fold"),
        ("Quiet for", "right"),
        ("Touched", "left"),
        ("Id", "fold"),
    )
    for each in sorted(answer.untouched, key=lambda of: -of.days):
        table.add_row(
            Text(each.title),
            Text(each.owner),
            Text(f"{each.days} days", "yellow"),
            Text(wording.day(each.touched_at) if each.touched_at else "never"),
            Text(each.goal, "dim"),
        )
    return table


def _unaligned(answer: InsightList) -> RenderableType:
    if not answer.unaligned:
        return "Every objective below the company serves one that is pursued."
    table = printing.grid(
        ("Objective", "fold"),
        ("Owner", "fold"),
        ("Unit", "fold"),
        ("Served", "fold"),
        ("Id", "fold"),
    )
    for each in answer.unaligned:
        ended = f"{', '.join(each.ended)}, which has ended" if each.ended else "nothing"
        table.add_row(
            Text(each.title),
            Text(each.owner),
            Text(each.unit_id),
            Text(ended),
            Text(each.objective_id, "dim"),
        )
    return table


def _leads(answer: InsightList) -> RenderableType:
    if answer.leads:
        table = printing.grid(
            ("Leading", "fold"),
            ("moved", "left"),
            ("before", "fold"),
            ("Correlation", "right"),
            ("Pairs", "right"),
            ("Chance alone", "right"),
        )
        for each in answer.leads:
            table.add_row(
                Text(each.leading),
                Text(_periods(each)),
                Text(each.lagging),
                Text(wording.number(each.correlation)),
                Text(str(each.pairs)),
                Text(f"{each.chance_alone:f}"),
            )
        return table
    asked = answer.pairs_compared + answer.pairs_too_short
    if not asked:
        return (
            "No pair to compare: it takes a KPI marked leading and one marked lagging, of the same "
            "frequency, in the same unit or joined by a formula."
        )
    return (
        f"Nothing to tell: of {asked} pairs of a leading and a lagging KPI "
        f"{answer.pairs_too_short} have fewer than 12 common changes, and of the others none "
        "moved clearly before the other."
    )


def _periods(of: Leads) -> str:
    return f"{of.periods} {PERIODS[of.frequency]}{'s' if of.periods > 1 else ''}"
