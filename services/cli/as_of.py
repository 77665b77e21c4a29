"""`as-of DATE`: goals and indicators as they stood."""

from typing import Final, TypeVar

import click
import msgspec
from goal_contracts.queries import AsOf, Goals

from services.cli import goal_tree, options, printing
from services.cli.client import Client
from services.cli.options import System

Card = TypeVar("Card")
PAGE: Final = 300


@click.command(
    "as-of",
    epilog="Example: goal-ledger as-of 2025-09-30 --cycle 2025-Q3",
    short_help="Goals and indicators as they stood.",
)
@click.argument("date", type=options.MOMENT_TYPE, required=False)
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="By what was known on this date. Without it: by what was known on DATE itself.",
)
@click.option("--unit", type=options.ID_TYPE, metavar="ID", help="Only this unit.")
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="Only this cycle.")
@click.option(
    "--goal",
    type=options.GOAL_TYPE,
    metavar="KIND/ID",
    help="Only this one: objective/ID, key_result/ID or kpi/ID.",
)
@click.option("--kpi", type=options.ID_TYPE, metavar="ID", help="Only this indicator.")
@options.output_format
@options.connected
def as_of(
    system: System,
    output_format: str,
    date: str | None,
    known_at: str | None,
    unit: str | None,
    cycle: str | None,
    goal: str | None,
    kpi: str | None,
) -> None:
    """Show goals and indicators as they stood on DATE, or as they stand now.

    DATE is a day (its end in the organisation's zone), an instant with its offset, or a position
    @N of the log. What stood then is told by what was known then; with a later --known-at, by what
    came to be known since.
    """
    query = AsOf(
        as_of=date, known_at=known_at, unit=unit, cycle=cycle, goal=goal, kpi=kpi, limit=PAGE
    )

    async def ask(client: Client) -> Goals:
        return await goals_as_of(system, client, query)

    goals = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(goals)
        case "csv":
            printing.as_csv(goal_tree.COLUMNS, goal_tree.rows(goals))
        case _:
            asked = f"{system.organisation} {f'as of {date}' if date else 'now'}"
            printing.show(*goal_tree.drawn(goals, asked, is_wide=printing.is_wide()))


async def goals_as_of(system: System, client: Client, query: AsOf) -> Goals:
    """All pages of the answer as one."""
    whole: Goals | None = None
    while True:
        page = await system.ask(client, query, Goals)
        whole = page if whole is None else _joined(whole, page)
        if page.cursor is None:
            return whole
        query = msgspec.structs.replace(query, cursor=page.cursor)


def _joined(first: Goals, then: Goals) -> Goals:
    return msgspec.structs.replace(
        then,
        units=_once(first.units + then.units, "unit_id"),
        cycles=_once(first.cycles + then.cycles, "cycle_id"),
        objectives=_once(first.objectives + then.objectives, "objective_id"),
        key_results=_once(first.key_results + then.key_results, "key_result_id"),
        kpis=_once(first.kpis + then.kpis, "kpi_id"),
    )


def _once(cards: tuple[Card, ...], key: str) -> tuple[Card, ...]:
    # A page repeats what its goals hang on: their units and cycles.
    return tuple({getattr(card, key): card for card in cards}.values())
