"""`alerts`: what needs somebody's attention, the gravest first."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import click
import msgspec
from goal_contracts.queries import Alert, AlertList, Alerts, Severity
from rich.console import RenderableType
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.options import System
from services.cli.printing import Row

PAGE: Final = 1_000
COLUMNS: Final = (
    "severity",
    "kind",
    "goal",
    "title",
    "owner",
    "unit_id",
    "cycle_id",
    "objective_id",
    "since",
    "why",
    "alert_id",
)
COLOURS: Final[dict[Severity, str]] = {"critical": "bold red", "warning": "yellow", "notice": "dim"}
NOTHING: Final = (
    "Nothing needs attention: no check-in is late, nothing pursued is behind its pace, in doubt or "
    "off track, no KPI is in breach or without its reading, and no review is open."
)
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@click.command(
    "alerts",
    epilog="""\b
Example: goal-ledger alerts --owner ada
Example: goal-ledger alerts --as-of 2025-08-31 --unit platform""",
    short_help="What needs somebody's attention.",
)
@options.as_of
@options.known_at
@options.unit_and_below
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="Only the goals of this cycle.")
@click.option("--owner", type=options.ID_TYPE, metavar="ID", help="Only what this one looks after.")
@options.output_format
@options.connected
def alerts(
    system: System,
    output_format: str,
    as_of: str | None,
    known_at: str | None,
    unit: str | None,
    cycle: str | None,
    owner: str | None,
) -> None:
    """Show what needs attention: for whom, since when, and why, with the values seen.

    Check-ins that are late or overdue, progress behind the pace of its cycle, low confidence, what
    people say is at risk or off track, readings that did not come, KPIs in breach, and reviews that
    wait to be closed. Everything as it stood at the moment asked for, or as it stands now.
    """
    query = Alerts(as_of=as_of, known_at=known_at, unit=unit, cycle=cycle, owner=owner, limit=PAGE)

    async def ask(client: Client) -> AlertList:
        return await _all_alerts(system, client, query)

    answer = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(answer)
        case "csv":
            printing.as_csv(COLUMNS, rows(answer))
        case _:
            asked = f"{system.organisation} {f'as of {as_of}' if as_of else 'now'}"
            printing.show(*drawn(answer, asked, is_wide=printing.is_wide()))


async def _all_alerts(system: System, client: Client, query: Alerts) -> AlertList:
    """All pages of the answer as one."""
    found: list[Alert] = []
    while True:
        page = await system.ask(client, query, AlertList)
        found += page.alerts
        if page.cursor is None:
            return msgspec.structs.replace(page, alerts=tuple(found))
        query = msgspec.structs.replace(query, cursor=page.cursor)


def rows(answer: AlertList) -> Iterator[Row]:
    """One row for each alert."""
    for alert in answer.alerts:
        yield {column: getattr(alert, column) for column in COLUMNS}


def drawn(answer: AlertList, asked: str, *, is_wide: bool) -> list[RenderableType]:
    """How many of each severity, and a table."""
    head = goal_tree.reflects(asked, answer.reflects)
    if not answer.alerts:
        return [
            head,
            "",
            NOTHING,
        ]
    table = printing.grid(
        ("", "left"),
        ("What", "left"),
        ("Goal or KPI", "fold"),
        ("For", "fold"),
        ("Stands", "right"),
        ("Why", "fold"),
        *((("Unit", "fold"), ("Since", "left"), ("Id", "fold")) if is_wide else ()),
    )
    for alert in answer.alerts:
        title = Text(alert.title)
        if is_wide:
            title.append(f" ({alert.goal})", "dim")
        cells = [
            Text(alert.severity, COLOURS[alert.severity]),
            Text(_what(alert)),
            title,
            Text(alert.owner),
            Text(age(alert.since, answer.reflects.as_of)),
            Text(alert.why),
            Text(alert.unit_id),
            Text(wording.instant(alert.since)),
            Text(alert.alert_id, "dim"),
        ]
        table.add_row(*cells[: len(table.columns)])
    return [head, _counted(answer), "", table]


def age(since: datetime, now: datetime) -> str:
    """`3 days`, `1 day`, `5 h`: how long something has stood."""
    days = (now - since) // _DAY
    if days:
        return f"{days} day{'s' if days > 1 else ''}"
    return f"{max((now - since) // _HOUR, 0)} h"


def _counted(answer: AlertList) -> Text:
    counts = Counter(alert.severity for alert in answer.alerts)
    owners = len({alert.owner for alert in answer.alerts})
    words = Text()
    for severity, colour in COLOURS.items():
        if counts[severity]:
            words.append(f"{counts[severity]} {severity}", colour)
            words.append(" · ", "dim")
    return words.append(f"for {owners} owner{'s' if owners > 1 else ''}", "dim")


def _what(alert: Alert) -> str:
    return wording.spaced(alert.kind).replace("kpi", "KPI")
