"""`demo`: the whole system with a sample company in it, and a first look around."""

import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, get_args
from zoneinfo import ZoneInfo

import click
from goal_contracts import codec, subjects
from goal_contracts.codec import Recorded
from goal_contracts.events import KeyResultRetargeted, KpiReadingCorrected, OrganisationOpened
from goal_contracts.fields import Role
from goal_contracts.queries import AsOf, Changes, Goals, History
from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from services.cli import import_run, importing, printing, sample, settings, wording
from services.cli.as_of import goals_as_of
from services.cli.client import Client
from services.cli.export import stored_events
from services.cli.history import all_changes, event_block
from services.cli.importing import ImportRefused
from services.cli.options import System
from services.cli.settings import RunningServer
from services.cli.up import (
    data_directory,
    how_to_find,
    http_port,
    nats_port,
    program,
    run_system,
)

WAIT_S: Final = 60.0
TOKEN_HOURS: Final = 12
HOUR_S: Final = 3_600


@click.command(
    "demo",
    epilog="Example: goal-ledger demo --data demo/",
    short_help="Run the whole system with a sample company in it.",
)
@data_directory(settings.DEMO_DATA)
@nats_port
@http_port
def demo(data: Path, nats_port: int, http_port: int) -> None:
    """Run the whole system with a sample company in it, until Ctrl-C.

    The sample is sent as commands, as anybody would send them, if it is not in the ledger yet; an
    interrupted loading goes on where it stopped. Then what was loaded is shown, and how one of its
    goals stood on two days.
    """

    async def show_around(running: RunningServer) -> None:
        url = running.url
        system = System(organisation=sample.ORGANISATION, server=url, data=data, wait_s=WAIT_S)
        async with await system.connect() as client:
            await _load(client)
            log = await _recorded(client, system)
            await _look_around(client, system, log, how_to_find(data, url))
        printing.show("", *over_http(data, running), "", "Ctrl-C stops it.")

    run_system(data, nats_port, show_around, http_port=http_port)


async def _load(client: Client) -> None:
    history = sample.history()
    began = time.monotonic()
    try:
        with printing.progress("Loading the sample company", history.size) as more:
            outcome = await importing.send(client, history, more)
    except ImportRefused as refused:
        printing.warn(
            f"{refused.refused.reason}: {refused}; what is in the ledger is left as it is"
        )
        return
    if outcome.already_imported:
        printing.show("The sample company is in the ledger already.")
        return
    import_run.tell_left(outcome.refused)
    took_s = time.monotonic() - began
    printing.show(f"The sample company is loaded: {history.size} commands in {took_s:.1f} s.")


async def _recorded(client: Client, system: System) -> list[Recorded]:
    return [
        codec.decode_event(stored.position, stored.payload)
        async for stored in stored_events(client, system.wait_s)
        if subjects.parse_ledger(stored.subject)[0] == system.organisation
    ]


class Lowered(Struct, frozen=True):
    """A target that was lowered while its cycle ran, and the days around it."""

    event: Recorded
    day_before: date
    day: date

    @property
    def goal(self) -> str:
        return f"key_result/{self.event.goal_id}"


async def _look_around(client: Client, system: System, log: Sequence[Recorded], where: str) -> None:
    last = log[-1].position if log else 0
    now = await goals_as_of(system, client, AsOf(at_least=last))
    printing.show("", *summary(now, len(log)))
    lowered = find_lowered(log)
    if lowered is not None:
        before = await _as_of(client, system, lowered.goal, lowered.day_before)
        after = await _as_of(client, system, lowered.goal, lowered.day)
        changes = await all_changes(
            system, client, History(kind="key_result", id=lowered.event.goal_id)
        )
        printing.show("", *two_days(lowered, before, after, changes))
    printing.show("", *what_next(log, lowered, where))


async def _as_of(client: Client, system: System, goal: str, day: date) -> Goals:
    return await goals_as_of(system, client, AsOf(as_of=day.isoformat(), goal=goal))


def summary(now: Goals, events: int) -> list[RenderableType]:
    """How many of each kind there are."""
    counts = (
        (len(now.units), "units"),
        (len(now.cycles), "cycles"),
        (len(now.objectives), "objectives"),
        (len(now.key_results), "key results"),
        (len(now.kpis), "KPIs"),
        (events, "events"),
    )
    words = Text(f"{sample.ORGANISATION}: ", "bold")
    words.append(", ".join(f"{count} {what}" for count, what in counts), "not bold")
    return [words]


def find_lowered(log: Sequence[Recorded]) -> Lowered | None:
    """The first target that was lowered in a running cycle."""
    zone = "UTC"
    for recorded in log:
        match recorded.event:
            case OrganisationOpened():
                zone = recorded.event.zone
            case KeyResultRetargeted(lowered=True, mid_cycle=True):
                day = recorded.known_at.astimezone(ZoneInfo(zone)).date()
                return Lowered(recorded, day - timedelta(days=1), day)
            case _:
                pass
    return None


def two_days(
    lowered: Lowered, before: Goals, after: Goals, changes: Changes
) -> list[RenderableType]:
    """How the key result stood on both days, and the change in between: who, when and why."""
    table = printing.grid(
        ("As of", "left"),
        ("Measure", "fold"),
        ("Now", "right"),
        ("Done", "right"),
        ("Position", "right"),
    )
    title = lowered.goal
    for day, goals in ((lowered.day_before, before), (lowered.day, after)):
        for card in goals.key_results:
            title = card.title
            table.add_row(
                day.isoformat(),
                wording.measure(card.measure),
                wording.value(card.measure, card.value),
                wording.percent(card.progress),
                f"@{goals.reflects.position}",
            )
    change = [each for each in changes.changes if each.position == lowered.event.position]
    return [
        Text("A target was lowered mid-quarter: ", "bold").append(title, "not bold"),
        "",
        printing.indented(table, 1),
        "",
        *(printing.indented(part, 1) for part in (event_block(change) if change else ())),
    ]


def what_next(log: Sequence[Recorded], lowered: Lowered | None, where: str) -> list[RenderableType]:
    """Commands worth trying on this very data."""
    lines = []
    if lowered is not None:
        lines += [
            f"as-of {lowered.day_before}",
            f"history {lowered.goal}",
            f"replay --from {lowered.day_before} --to {lowered.day} --state",
        ]
    corrected = next((e.goal_id for e in log if isinstance(e.event, KpiReadingCorrected)), None)
    if corrected is not None:
        lines.append(f"readings {corrected}")
    lines.append("export events")
    return [
        Text("Try in another terminal, from this directory:", "bold"),
        *(f"  {program()} {line}{where}" for line in lines),
    ]


def over_http(data: Path, running: RunningServer) -> list[RenderableType]:
    """Where the sample company is reached over HTTP, with a token for each role."""
    from services.cli import local_tokens  # noqa: PLC0415 - questions need no cryptography

    valid_s = TOKEN_HOURS * HOUR_S
    tokens = (
        (
            role,
            local_tokens.token(
                data,
                actor=f"demo-{role}".replace("_", "-"),
                organisation_id=sample.ORGANISATION,
                role=role,
                valid_s=valid_s,
            ),
        )
        for role in get_args(Role)
    )
    path = f"/api/v1/organisations/{sample.ORGANISATION}"
    return [
        Text(f"Over HTTP, with a token for each role, valid for {TOKEN_HOURS} hours:", "bold"),
        Text(f"  questions  {running.questions}{path}/goals", no_wrap=True),
        Text(f"  commands   {running.commands}/api/v1/commands", no_wrap=True),
        Text("  both say at /schema what they take; send Authorization: Bearer TOKEN"),
        *(Text(f"{role}\n{token}", overflow="fold") for role, token in tokens),
    ]
