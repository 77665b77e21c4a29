"""`history KIND/ID`: who changed which field of one thing, when, why, from and to."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import click
import msgspec
from goal_contracts.queries import Blame, Blamed, Change, Changes, History
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.client import Client
from services.cli.errors import WrongUsage
from services.cli.options import System
from services.cli.printing import Row

PAGE: Final = 500
PARTS: Final = {
    "check_ins": "check in",
    "comments": "comment",
    "readings": "period",
    "retrospectives": "retrospective of",
    "reviews": "review",
}
"""What a field may be a part of, beside the thing itself."""
COLUMNS: Final = (
    "position",
    "kind",
    "id",
    "known_at",
    "recorded_at",
    "effective_at",
    "actor",
    "on_behalf_of",
    "event",
    "field",
    "was",
    "now",
    "reason",
    "provenance",
)


@click.command(
    "history",
    epilog="""\b
Example: goal-ledger history key_result/kr-7 --field measure
Example: goal-ledger history key_result/kr-7 --blame
Example: goal-ledger history cycle/2025-Q3 --all""",
    short_help="Who changed what, when, why, from and to.",
)
@click.argument("subject", type=options.SUBJECT_TYPE, metavar="KIND/ID")
@click.option("--field", metavar="FIELD", help="Only this field, or what is below it: definition.")
@click.option("--all", "whole", is_flag=True, help="Of a cycle: of everything in it, in order.")
@click.option(
    "--blame", is_flag=True, help="For each field as it stands: who set it last, when and why."
)
@click.option("--as-of", type=options.MOMENT_TYPE, metavar="DATE", help="As it stood on this date.")
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="By what was known on this date. Without it: by what was known on the date of --as-of.",
)
@options.output_format
@options.connected
def history(
    system: System,
    output_format: str,
    *,
    subject: str,
    field: str | None,
    whole: bool,
    blame: bool,
    as_of: str | None,
    known_at: str | None,
) -> None:
    """Show every change of one thing, oldest first: who, when, why, from and to.

    KIND is organisation, unit, cycle, objective, key_result or kpi.
    """
    if blame and whole:
        raise WrongUsage("--blame is of one thing, --all of a whole cycle: give one of them")
    kind, _, name = subject.partition("/")
    asked: dict[str, Any] = {
        "kind": kind,
        "id": name,
        "field": field,
        "as_of": as_of,
        "known_at": known_at,
        "limit": PAGE,
    }

    async def ask(client: Client) -> Changes:
        if blame:
            return await all_blamed(system, client, Blame(**asked))
        return await all_changes(system, client, History(**asked, whole=whole))

    changes = system.run(ask)
    match output_format:
        case "json":
            printing.as_json(changes)
        case "csv":
            printing.as_csv(COLUMNS, rows(changes))
        case _:
            told = blamed(changes, subject) if blame else drawn(changes, subject, whole=whole)
            printing.show(*told)


async def all_blamed(system: System, client: Client, query: Blame) -> Changes:
    """All pages of the answer as one, the changes that set the fields."""
    found: list[Change] = []
    while True:
        page = await system.ask(client, query, Blamed)
        found += page.fields
        if page.cursor is None:
            return Changes(page.reflects, tuple(found))
        query = msgspec.structs.replace(query, cursor=page.cursor)


async def all_changes(system: System, client: Client, query: History) -> Changes:
    """All pages of the answer as one."""
    found: list[Change] = []
    while True:
        page = await system.ask(client, query, Changes)
        found += page.changes
        if page.cursor is None:
            return msgspec.structs.replace(page, changes=tuple(found))
        query = msgspec.structs.replace(query, cursor=page.cursor)


def rows(changes: Changes) -> Iterator[Row]:
    """One row for each field that changed; `was` and `now` are JSON unless they are text."""
    for change in changes.changes:
        row = {column: getattr(change, column) for column in COLUMNS}
        yield row | {"was": printing.json_cell(change.was), "now": printing.json_cell(change.now)}


def drawn(changes: Changes, subject: str, *, whole: bool = False) -> list[RenderableType]:
    """One block for each event: when and who, what changed, and why."""
    parts: list[RenderableType] = [goal_tree.reflects(subject, changes.reflects)]
    for _, group in groupby(changes.changes, key=lambda change: change.position):
        parts += ["", *event_block(list(group), is_named=whole)]
    if not changes.changes:
        parts += ["", "Nothing has happened to it yet."]
    return parts


def blamed(changes: Changes, subject: str) -> list[RenderableType]:
    """One line for each field: what it is, who set it, when, and why."""
    table = printing.grid(
        ("Field", "left"), ("Now", "fold"), ("Who", "left"), ("When", "left"), ("Why", "fold")
    )
    for change in changes.changes:
        part, field = _named(change.field)
        named = Text(field)
        if part is not None:
            named.append(f" ({' '.join(part)})", "dim")
        when = Text(wording.instant(change.known_at)).append(f" @{change.position}", "dim")
        why = Text(change.reason or "", "italic")
        if change.provenance:
            why.append(f"{' ' if why else ''}from {change.provenance}", "not italic dim")
        now = wording.anything(_value(change.now))
        table.add_row(named, now, Text(change.actor, "cyan"), when, why)
    parts: list[RenderableType] = [goal_tree.reflects(subject, changes.reflects), ""]
    return [*parts, table if changes.changes else "It was not there yet."]


def event_block(group: list[Change], *, is_named: bool = False) -> list[RenderableType]:
    """The changes that one event made; with the name of what it made them to."""
    first = group[0]
    head = Text(wording.instant(first.known_at))
    head.append(f"  {first.actor}", "cyan")
    if first.on_behalf_of:
        head.append(f" for {first.on_behalf_of}", "cyan")
    head.append(f"  {wording.spaced(first.event)}", "bold")
    if is_named:
        head.append(f"  {first.kind}/{first.id}")
    head.append(f"  @{first.position}", "dim")
    fields = Table.grid(padding=(0, 2))
    fields.add_column(no_wrap=True, style="dim")
    fields.add_column(overflow="fold")
    shown_part = None
    for change in group:
        part, field = _named(change.field)
        if part is not None and part != shown_part:
            fields.add_row(*part)
            shown_part = part
        if field:
            fields.add_row(field, wording.changed(_value(change.was), _value(change.now)))
    if first.reason:
        fields.add_row("why", Text(first.reason, "italic"))
    if first.effective_at != first.known_at:
        fields.add_row("true on", wording.instant(first.effective_at))
    if first.provenance:
        fields.add_row("from", first.provenance)
        fields.add_row("recorded", wording.instant(first.recorded_at))
    return [head, printing.indented(fields, 1)]


def _named(path: str) -> tuple[tuple[str, str] | None, str]:
    """`check_ins.c-7.value` is the `value` of a part, `check in` `c-7`; most fields are of none."""
    collection, _, rest = path.partition(".")
    if collection not in PARTS:
        return None, wording.spaced(rest or collection)
    name, _, field = rest.rpartition(".") if collection != "comments" else (rest, "", "text")
    return (PARTS[collection], wording.period(name)), wording.spaced(field)


def _value(raw: msgspec.Raw | None) -> Any:  # noqa: ANN401 - any JSON value
    return None if raw is None else msgspec.json.decode(raw)
