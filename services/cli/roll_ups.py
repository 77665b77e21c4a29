"""`roll-ups`: how the goals of each unit stand in each cycle, in a line."""

from collections.abc import Iterator

import click
import msgspec
from goal_contracts.queries import RolledUp, RollUp, RollUps, Tally
from rich.console import RenderableType
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.options import System
from services.cli.printing import Row

PAGE = 1_000
COUNTED = (
    "objectives",
    "key_results",
    "progress",
    "aspirational_score",
    "committed_met",
    "healths",
)
COLUMNS = ("cycle_id", "unit_id", "reach", *COUNTED)
NOTHING = "No objective counts there: none was published by then."


@click.command(
    "roll-ups",
    epilog="""\b
Example: goal-ledger roll-ups --as-of 2025-09-30
Example: goal-ledger roll-ups --cycle 2025-Q3 --unit platform""",
    short_help="How units stand in each cycle, in a line.",
)
@options.as_of
@options.known_at
@options.unit_and_below
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="Only this cycle.")
@options.output_format
@options.connected
def roll_ups(
    system: System,
    output_format: str,
    as_of: str | None,
    known_at: str | None,
    unit: str | None,
    cycle: str | None,
) -> None:
    """Show the goals of each unit in each cycle, counted and averaged, with the units below.

    How many there are, of which health, their mean progress, and the scores that a closing of the
    cycle would record: the mean of the aspirational objectives, the share of the committed ones
    met.
    CSV and JSON have what a unit carries itself, too.
    """
    query = RollUps(as_of=as_of, known_at=known_at, unit=unit, cycle=cycle, limit=PAGE)

    async def ask(client: Client) -> RolledUp:
        return await _all_roll_ups(system, client, query)

    answer = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(answer)
        case "csv":
            printing.as_csv(COLUMNS, rows(answer))
        case _:
            asked = f"{system.organisation} {f'as of {as_of}' if as_of else 'now'}"
            printing.show(*drawn(answer, asked))


async def _all_roll_ups(system: System, client: Client, query: RollUps) -> RolledUp:
    """All pages of the answer as one."""
    whole = page = await system.ask(client, query, RolledUp)
    while page.cursor is not None:
        page = await system.ask(
            client, msgspec.structs.replace(query, cursor=page.cursor), RolledUp
        )
        cycles = {card.cycle_id: card for card in (*whole.cycles, *page.cycles)}
        units = {card.unit_id: card for card in (*whole.units, *page.units)}
        whole = msgspec.structs.replace(
            whole,
            cycles=tuple(cycles.values()),
            units=tuple(units.values()),
            roll_ups=whole.roll_ups + page.roll_ups,
        )
    return msgspec.structs.replace(whole, cursor=None)


def rows(answer: RolledUp) -> Iterator[Row]:
    """One row for each unit and cycle, and one more for what the unit carries itself."""
    for line in answer.roll_ups:
        for reach, tally in (("with_below", line.with_below), ("own", line.own)):
            if tally is not None:
                row = {name: getattr(tally, name) for name in COUNTED}
                row["healths"] = _healths(tally)
                yield {"cycle_id": line.cycle_id, "unit_id": line.unit_id, "reach": reach, **row}


def drawn(answer: RolledUp, asked: str) -> list[RenderableType]:
    """A table for each cycle, its units in the order of the tree."""
    head = goal_tree.reflects(asked, answer.reflects)
    if not answer.roll_ups:
        return [head, "", NOTHING]
    parts: list[RenderableType] = [head]
    units = {card.unit_id: card for card in answer.units}

    def depth(unit_id: str) -> int:
        above = units[unit_id].parent_id
        return 0 if above not in units else 1 + depth(above)

    def name(line: RollUp) -> str:
        if line.unit_id is None:
            return "Everything"
        return f"{'  ' * depth(line.unit_id)}{units[line.unit_id].name}"

    for cycle in answer.cycles:
        table = printing.grid(
            ("Unit", "fold"),
            ("Objectives", "right"),
            ("Key results", "right"),
            ("Progress", "right"),
            ("Aspirational", "right"),
            ("Committed met", "right"),
            ("Objectives' health", "fold"),
        )
        for line in answer.roll_ups:
            if line.cycle_id == cycle.cycle_id:
                tally = line.with_below
                table.add_row(
                    Text(name(line)),
                    str(tally.objectives),
                    str(tally.key_results),
                    wording.percent(tally.progress),
                    wording.percent(tally.aspirational_score),
                    wording.percent(tally.committed_met),
                    Text(_healths(tally)),
                )
        parts += ["", Text(f"{cycle.name} ({cycle.state})", "bold"), table]
    return parts


def _healths(tally: Tally) -> str:
    return ", ".join(
        f"{each.objectives} {wording.spaced(each.health)}"
        for each in tally.healths
        if each.objectives
    )
