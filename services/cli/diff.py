"""`diff FROM TO`: what is different at one moment from how it was at another, and why."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import click
import msgspec
from goal_contracts.queries import (
    Change,
    Diff,
    Difference,
    Differences,
    FieldDifference,
    Happened,
    LateChange,
)
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.options import System
from services.cli.printing import Row

PAGE: Final = 200
PLURALS: Final = {
    "organisation": "Organisation",
    "unit": "Units",
    "cycle": "Cycles",
    "objective": "Objectives",
    "key_result": "Key results",
    "kpi": "Indicators",
}
STYLES: Final[dict[Happened, str]] = {
    "added": "green",
    "entered": "green",
    "removed": "red",
    "left": "red",
    "dropped": "red",
    "retargeted": "yellow",
    "regraded": "yellow",
}
ALONE: Final = frozenset({"added", "entered", "removed", "left"})
"""What is there at one of the moments only: it is told as a whole, not field by field."""
UNTOLD: Final = frozenset(
    {
        "position",
        "expected_pace",
        "check_in_timing",
        "score_band",
        "advice",
        "value_origin",
        "progress_origin",
        "confidence_origin",
        "score_origin",
        "score_computed",
        "definition_version",
        "value_at",
        "closings",
    }
)
"""Fields that say no more than another does, or than that time passed."""
WORDS: Final = frozenset({"health", "status", "state", "outcome"})
SHARES: Final = frozenset({"progress", "committed_met"})
COLUMNS: Final = (
    "late",
    "kind",
    "id",
    "title",
    "happened",
    "field",
    "was",
    "now",
    "actor",
    "known_at",
    "recorded_at",
    "effective_at",
    "event",
    "position",
    "reason",
    "provenance",
)


@click.command(
    "diff",
    epilog="""\b
Example: goal-ledger diff 2025-07-01 2025-09-30 --cycle 2025-Q3
Example: goal-ledger diff 2025-09-30 2025-09-30 --known-at 2025-12-31""",
    short_help="What changed between two dates.",
)
@click.argument("start", type=options.MOMENT_TYPE, metavar="FROM")
@click.argument("end", type=options.MOMENT_TYPE, metavar="[TO]", required=False)
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="TO by what was known on this date. Without it: by what was known on TO itself.",
)
@click.option(
    "--from-known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="FROM by what was known on this date. Without it: by what was known on FROM itself.",
)
@click.option(
    "--unit", type=options.ID_TYPE, metavar="ID", help="Only this unit and those below it."
)
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="Only this cycle.")
@click.option(
    "--goal",
    type=options.GOAL_TYPE,
    metavar="KIND/ID",
    help="Only this one: objective/ID, key_result/ID or kpi/ID.",
)
@options.output_format
@options.connected
def diff(
    system: System,
    output_format: str,
    start: str,
    end: str | None,
    known_at: str | None,
    from_known_at: str | None,
    unit: str | None,
    cycle: str | None,
    goal: str | None,
) -> None:
    """Show what is different on TO, or now, from how it was on FROM.

    What was changed late, after a cycle had begun, comes first; then everything that differs, field
    by field: from, to, who, when and why. The same day twice, known later, shows what was
    corrected since.
    """
    query = Diff(
        before=start,
        before_known_at=from_known_at,
        after=end,
        after_known_at=known_at,
        unit=unit,
        cycle=cycle,
        goal=goal,
        limit=PAGE,
    )

    async def ask(client: Client) -> Differences:
        return await all_differences(system, client, query)

    found = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(found)
        case "csv":
            printing.as_csv(COLUMNS, rows(found))
        case _:
            printing.show(*drawn(found, f"{system.organisation} from {start} to {end or 'now'}"))


async def all_differences(system: System, client: Client, query: Diff) -> Differences:
    """All pages of the answer as one."""
    late: list[LateChange] = []
    things: list[Difference] = []
    while True:
        page = await system.ask(client, query, Differences)
        late += page.late
        things += page.things
        if page.cursor is None:
            return msgspec.structs.replace(page, late=tuple(late), things=tuple(things))
        query = msgspec.structs.replace(query, cursor=page.cursor)


def rows(found: Differences) -> list[Row]:
    """One row for each field that differs, with the change that set it; the late ones first."""
    late = {change.position for change in found.late}
    told = [
        _row(thing, field, _behind(thing, field.field), late)
        for thing in found.things
        for field in thing.fields
    ]
    return sorted(told, key=lambda row: not row["late"])


def _row(
    thing: Difference, field: FieldDifference, change: Change | None, late: set[int]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "late": change is not None and change.position in late,
        "kind": thing.kind,
        "id": thing.id,
        "title": thing.title,
        "happened": " ".join(thing.happened),
        "field": field.field,
        "was": printing.json_cell(field.was),
        "now": printing.json_cell(field.now),
    }
    if change is not None:
        behind = ("actor", "known_at", "recorded_at", "effective_at", "event", "position")
        row |= {name: getattr(change, name) for name in (*behind, "reason", "provenance")}
    return row


def drawn(found: Differences, asked: str) -> list[RenderableType]:
    """The two moments, what came late, then the things that differ, kind by kind."""
    parts: list[RenderableType] = [
        Text(asked, "bold"),
        printing.indented(goal_tree.reflects("from", found.reflects_before), 1),
        printing.indented(goal_tree.reflects("to", found.reflects), 1),
    ]
    if found.late:
        parts += ["", Text("Late changes, after the cycle had begun", "bold underline")]
        for change in found.late:
            parts += _late(change)
    happened = [thing for thing in found.things if thing.happened]
    for kind, heading in PLURALS.items():
        of_kind = [thing for thing in happened if thing.kind == kind]
        if of_kind:
            parts += ["", Text(heading, "bold underline")]
            for thing in of_kind:
                parts += _thing(thing)
    if not happened:
        parts += ["", "Nothing happened in between."]
    elif aged := len(found.things) - len(happened):
        parts += ["", Text(f"Of {aged} more, nothing but their age is different.", "dim")]
    return parts


def _late(change: LateChange) -> list[RenderableType]:
    head = Text(wording.instant(change.at))
    head.append(f"  {change.actor}", "cyan")
    head.append(f"  {change.change}", "bold yellow" if change.change == "lowered" else "bold red")
    head.append(f"  {change.title}")
    head.append(f"  {change.goal} @{change.position}", "dim")
    fields = _fields()
    if change.measure is not None:
        was, now = map(msgspec.to_builtins, (change.measure_was, change.measure))
        fields.add_row("measure", wording.changed(was, now))
    if change.reason:
        fields.add_row("why", Text(change.reason, "italic"))
    return [head, printing.indented(fields, 2)] if fields.rows else [head]


def _thing(thing: Difference) -> list[RenderableType]:
    head = Text(thing.title, "bold")
    for word in thing.happened:
        head.append(f"  {word}", STYLES.get(word, "cyan"))
    head.append(f"  {thing.kind}/{thing.id}", "not bold dim")
    fields = _fields()
    if ALONE & set(thing.happened):
        for each in _events(thing):
            fields.add_row(wording.spaced(each.event), _said(each))
    else:
        for field in thing.fields:
            if field.field not in UNTOLD:
                change = _behind(thing, field.field)
                fields.add_row(
                    wording.spaced(field.field),
                    _from_and_to(field),
                    *([] if change is None else [_said(change)]),
                )
    return [head, printing.indented(fields, 1)] if fields.rows else [head]


def _fields() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table


def _from_and_to(field: FieldDifference) -> str:
    was, now = _value(field.was), _value(field.now)
    if field.field in SHARES:
        return f"{_share(was)} {wording.ARROW} {_share(now)}"
    if field.field in WORDS:
        was, now = (each and wording.spaced(each) for each in (was, now))
    if was is None and now is not None:
        return f"{wording.NOTHING} {wording.ARROW} {wording.anything(now)}"
    return wording.changed(was, now)


def _share(number: Any) -> str:  # noqa: ANN401 - a JSON value
    return wording.percent(None if number is None else Decimal(number))


def _said(change: Change) -> Text:
    """`ada 2025-08-14 10:12 UTC @214: The provider moved`."""
    text = Text(change.actor, "cyan")
    text.append(f" {wording.instant(change.known_at)} @{change.position}", "dim")
    if change.provenance:
        text.append(f" from {change.provenance}", "dim")
    if change.reason:
        text.append(f" {change.reason}", "italic")
    return text


def _events(thing: Difference) -> Iterator[Change]:
    """One change of each event behind a thing."""
    seen: set[int] = set()
    for change in thing.changes or thing.undone:
        if change.position not in seen:
            seen.add(change.position)
            yield change


def _behind(thing: Difference, field: str) -> Change | None:
    """The last change of a field of a card: `definition.target` is of the definition."""
    said = {"value", "confidence", "status", "note"}
    for change in reversed(thing.changes or thing.undone):
        part, _, word = change.field.rpartition(".")
        is_said = field in said and word == field and part.startswith(("check_ins.", "readings."))
        is_reading = field == "reading" and part.startswith("readings.")
        if is_said or is_reading or f"{change.field}.".startswith(f"{field}."):
            return change
    return None


def _value(raw: msgspec.Raw | bytes) -> Any:  # noqa: ANN401 - any JSON value
    return msgspec.json.decode(raw)
