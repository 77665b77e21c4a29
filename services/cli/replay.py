"""`replay`: the events of a cycle or a range in order, at any speed, with the state after each."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import click
import msgspec
from goal_contracts import codec
from goal_contracts.codec import Recorded, Unrecognised
from goal_contracts.queries import AsOf, Events, Goals, Replay, ReplayedEvent
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from services.cli import goal_tree, options, printing, wording
from services.cli.as_of import goals_as_of
from services.cli.client import Client
from services.cli.errors import WrongUsage
from services.cli.options import System
from services.cli.printing import Row

PAGE: Final = 300
WITH_STATE: Final = ("cycle", "objective", "key_result", "kpi")
UNTOLD: Final = frozenset({"reason", "effective_at", "provenance", "organisation_id"})
COLUMNS: Final = (
    "position",
    "known_at",
    "recorded_at",
    "effective_at",
    "actor",
    "event",
    "subject",
    "data",
    "reason",
    "provenance",
    "command_id",
    "event_id",
)


@click.command(
    "replay",
    epilog="""\b
Example: goal-ledger replay --cycle 2025-Q3 --step --state
Example: goal-ledger replay --from 2025-08-01 --to 2025-08-31 --speed 5""",
    short_help="Events in order, with the state after each.",
)
@click.option("--cycle", type=options.ID_TYPE, metavar="ID", help="The events of this cycle.")
@click.option("--from", "start", type=options.MOMENT_TYPE, metavar="DATE", help="From this date.")
@click.option("--to", "end", type=options.MOMENT_TYPE, metavar="DATE", help="Up to this date.")
@click.option(
    "--as-of", type=options.MOMENT_TYPE, metavar="DATE", help="Only what was true by this date."
)
@click.option(
    "--known-at",
    type=options.MOMENT_TYPE,
    metavar="DATE",
    help="Only what was known on this date. Without it: on the date of --as-of, if that is given.",
)
@click.option(
    "--speed",
    type=options.Number(min=0, min_open=True),
    metavar="N",
    help="N events a second, fractions too. Without it: as fast as it goes.",
)
@click.option("--step", is_flag=True, help="Wait for Enter after each event; q ends it.")
@click.option(
    "--state", is_flag=True, help="After each event, the goal it touched as it then stood."
)
@options.output_format
@options.connected
def replay(
    system: System,
    output_format: str,
    *,
    cycle: str | None,
    start: str | None,
    end: str | None,
    as_of: str | None,
    known_at: str | None,
    speed: float | None,
    step: bool,
    state: bool,
) -> None:
    """Show what happened, event by event, in the order of the log.

    Without --cycle, --from and --to it is the whole of the organisation. In JSON each line is
    {"position", "event", "state"?}, the event as it is stored.
    """
    if step and speed is not None:
        raise WrongUsage("--step and --speed exclude each other: give one of them")
    query = Replay(cycle=cycle, start=start, end=end, as_of=as_of, known_at=known_at, limit=PAGE)
    print_event = _printer(output_format)

    async def go(client: Client) -> None:
        async for replayed in _events(system, client, query):
            recorded = codec.decode_event(replayed.position, bytes(replayed.event))
            after = await _state(system, client, recorded) if state else None
            print_event(replayed, recorded, after)
            if speed is not None:
                await asyncio.sleep(1 / speed)
            if step and not await asyncio.to_thread(_go_on):
                return

    system.run(go)


async def _events(
    system: System, client: Client, query: Replay
) -> AsyncGenerator[ReplayedEvent, None]:
    while True:
        page = await system.ask(client, query, Events)
        for event in page.events:
            yield event
        if page.cursor is None:
            return
        query = msgspec.structs.replace(query, cursor=page.cursor)


async def _state(system: System, client: Client, recorded: Recorded) -> Goals | None:
    if recorded.kind not in WITH_STATE:
        return None
    moment = f"@{recorded.position}"
    if recorded.kind == "cycle":
        # The cycle comes first; its goals are told by events of their own.
        alone = AsOf(as_of=moment, cycle=recorded.goal_id, limit=1)
        page = await system.ask(client, alone, Goals)
        return msgspec.structs.replace(page, cursor=None)
    query = (
        AsOf(as_of=moment, kpi=recorded.goal_id)
        if recorded.kind == "kpi"
        else AsOf(as_of=moment, goal=f"{recorded.kind}/{recorded.goal_id}")
    )
    return await goals_as_of(system, client, query)


def _go_on() -> bool:
    """Whether Enter was pressed, not q and not the end of input."""
    if sys.stdin.isatty():
        click.echo("Enter: next, q: end ", nl=False, err=True)
    answer = sys.stdin.readline()
    return answer != "" and answer.strip().lower() not in {"q", "quit"}


Printer = Callable[[ReplayedEvent, Recorded, Goals | None], None]


def _printer(output_format: str) -> Printer:
    is_first = True

    def json(replayed: ReplayedEvent, _recorded: Recorded, after: Goals | None) -> None:
        row: dict[str, Any] = {"position": replayed.position, "event": replayed.event}
        printing.as_json_lines([row if after is None else row | {"state": after}])

    def csv(_replayed: ReplayedEvent, recorded: Recorded, _after: Goals | None) -> None:
        nonlocal is_first
        printing.as_csv(COLUMNS, [row(recorded)], heading=is_first)
        is_first = False

    def table(_replayed: ReplayedEvent, recorded: Recorded, after: Goals | None) -> None:
        parts: list[RenderableType] = [*told(recorded)]
        if after is not None:
            state = goal_tree.drawn(after, "then", is_wide=printing.is_wide())
            parts += [printing.indented(part, 2) for part in state[2:]]
            parts.append("")
        printing.show(*parts)

    return {"json": json, "csv": csv}.get(output_format, table)


def row(recorded: Recorded) -> Row:
    """One event as a row; `data` is its JSON."""
    return {
        "position": recorded.position,
        "known_at": recorded.known_at,
        "recorded_at": recorded.recorded_at,
        "effective_at": recorded.effective_at,
        "actor": recorded.actor,
        "event": recorded.type,
        "subject": f"{recorded.kind}/{recorded.goal_id}",
        "data": codec.encode(_data(recorded)).decode(),
        "reason": recorded.reason,
        "provenance": recorded.provenance,
        "command_id": recorded.command_id,
        "event_id": recorded.event_id,
    }


def told(recorded: Recorded) -> list[RenderableType]:
    """When, who, what to which goal; then what it says."""
    head = Text(wording.instant(recorded.known_at))
    head.append(f"  {recorded.actor}", "cyan")
    head.append(f"  {wording.spaced(recorded.type)}", "bold")
    head.append(f"  {recorded.kind}/{recorded.goal_id}")
    head.append(f"  @{recorded.position}", "dim")
    fields = Table.grid(padding=(0, 2))
    fields.add_column(no_wrap=True, style="dim")
    fields.add_column(overflow="fold")
    for name, words in said(recorded):
        fields.add_row(name, words)
    if recorded.reason:
        fields.add_row("why", Text(recorded.reason, "italic"))
    if recorded.effective_at != recorded.known_at:
        fields.add_row("true on", wording.instant(recorded.effective_at))
    return [head, printing.indented(fields, 1)] if fields.rows else [head]


def said(recorded: Recorded) -> list[tuple[str, str]]:
    """What the event says beyond its envelope, a pair of old and new as one."""
    data = _data(recorded)
    own_id = f"{recorded.kind}_id"
    found = []
    for name, value in data.items():
        if name in UNTOLD or name == own_id or name.endswith("_was") or name == "policy":
            continue
        was = data.get(f"{name}_was")
        if was == value and f"{name}_was" in data:
            continue
        found.append((wording.spaced(name), wording.changed(was, value)))
    return found


def _data(recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    raw = event.data if isinstance(event, Unrecognised) else codec.encode(event)
    data: dict[str, Any] = msgspec.json.decode(raw)
    return data
