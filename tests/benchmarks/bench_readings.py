"""Readings in bulk through the real command path, beside atomic batches of the same messages.

Of both, two are under way: one command is decided while the other is being written, as in an import
of readings that became known together, and a batch is sent while the one before is. One at a time
is shown, too, and the whole program, which is started, reads files and founds an organisation.
"""

import asyncio
import itertools
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

from goal_contracts import codec, subjects
from goal_contracts.codec import command_message
from goal_contracts.commands import RecordReadings

from services.ledger.store import log
from services.ledger.store.log import BATCH_EVENTS_MAX, GoalLog, Outgoing
from tests.benchmarks import clients, processes
from tests.benchmarks.company import (
    ACTOR,
    ORGANISATION,
    READINGS_FROM,
    Company,
    bulks_of_readings,
)
from tests.benchmarks.passes import Contender, Pace, Pass, closed_loops, in_turn, per_s, ratio
from tests.benchmarks.results import Check, Part, at_least, rows
from tests.benchmarks.workplace import Workplace

NAME: Final = "readings"
KPIS: Final = 1_000
MANIFEST: Final = """
source = "Benchmark"
actor = "bench"
publications = [{{ file = "readings.csv", published_at = {published_at} }}]

[organisation]
name = "Bench"

[unit]
id = "company"
name = "Company"

[columns]
period = "day"
value = "value"

[period]
kind = "iso"

[kpi]
id = ["indicator"]
name = "Indicator {{indicator}}"
unit = "points"
direction = "higher"
frequency = "daily"
"""


def run(work: Workplace) -> Part:
    """Raw batches, bulk commands, and the program, with one client each."""
    company = Company(key_results=0, kpis=KPIS)
    with ExitStack() as held:
        raw_server = held.enter_context(processes.nats_server(work.place / "raw"))
        processes.declare_stream(raw_server.url)
        server = held.enter_context(processes.nats_server(work.place / "ours"))
        held.enter_context(processes.ledger(work.place / "ours", server))
        clients.found(server.url, company)
        bulks = bulks_of_readings(company, BATCH_EVENTS_MAX)
        ours, ours_in_turn = (
            BulkCommands(server.url, bulks, under_way=under_way) for under_way in (2, 1)
        )
        events = ours.first()
        raw, raw_in_turn = (
            RawBatches(raw_server.url, events, under_way=under_way) for under_way in (2, 1)
        )
        program = Program(server.url, work.place / "files", work.sizes.imported_readings)
        contenders: list[Contender] = [raw, ours, program, raw_in_turn, ours_in_turn]
        measured = in_turn(contenders, [1], work.sizes.pace, work.say)

    def compared(above: Contender, below: Contender) -> tuple[str, float]:
        both = measured[above.name, 1], measured[below.name, 1]
        return f"{above.name} / {below.name}", ratio(*both, per_s)

    checks = [
        at_least(*compared(ours, raw), 0.5),
        at_least(*compared(program, raw), 0.5),
        Check(*compared(ours_in_turn, raw_in_turn)),
    ]
    notes = [f"{BATCH_EVENTS_MAX:,} to a command or batch; {program.readings:,} to a file"]
    return Part(NAME, "readings in bulk", "events", rows(measured), checks, notes)


class RawBatches:
    """Atomic batches with the expected last sequence of the stream: what an append costs."""

    def __init__(self, url: str, events: list[Outgoing], *, under_way: int) -> None:
        self.name = f"raw atomic batches, {under_way} under way"
        self._url = url
        self._events = events
        self._under_way = under_way

    def measure(self, clients: int, pace: Pace) -> Pass:
        return asyncio.run(self._measure(clients, pace))

    async def _measure(self, clients: int, pace: Pace) -> Pass:
        async with await log.connect(self._url) as connection:
            goal_log = GoalLog(connection, subjects.STREAM)
            await goal_log.open()
            last = await goal_log.last_position()

            async def step() -> int:
                nonlocal last
                expected, last = last, last + len(self._events)
                answered = asyncio.Event()
                sent = goal_log.send(self._events, expected, answered.set)
                await answered.wait()
                sent.result()
                return len(self._events)

            return await closed_loops([step] * clients * self._under_way, pace)


class BulkCommands:
    """RecordReadings through the door, a thousand to a command."""

    def __init__(self, url: str, bulks: Iterator[RecordReadings], *, under_way: int) -> None:
        self.name = f"bulk commands, {under_way} under way"
        self._url = url
        self._bulks = bulks
        self._under_way = under_way

    def first(self) -> list[Outgoing]:
        """What the ledger stores for the first command."""
        return asyncio.run(self._first())

    def measure(self, clients: int, pace: Pace) -> Pass:
        return asyncio.run(self._measure(clients, pace))

    async def _first(self) -> list[Outgoing]:
        async with clients.connections(self._url, 1) as [connection]:
            reply = await clients.accepted(connection, *_asked(next(self._bulks)))
            last = reply.position
            stored = await GoalLog(connection, subjects.STREAM).get(
                range(last - reply.events + 1, last + 1)
            )
        return [
            Outgoing(message.subject, message.payload, log.version_of(message))
            for message in stored
        ]

    async def _measure(self, clients_count: int, pace: Pace) -> Pass:
        count = clients_count * self._under_way
        async with clients.connections(self._url, count) as held:

            async def step() -> int:
                subject, message = _asked(next(self._bulks))
                reply = await clients.accepted(held[0], subject, message, events=BATCH_EVENTS_MAX)
                return reply.events

            return await closed_loops([step] * count, pace)


class Program:
    """`goal-ledger import readings`, from its start to its end, with an organisation of its own."""

    name = "the import program"

    def __init__(self, url: str, files: Path, readings: int) -> None:
        self.readings = readings
        self._url = url
        self._files = files
        self._organisations = (f"imported-{number}" for number in itertools.count())
        files.mkdir(parents=True)
        published_at = datetime.now(UTC) - timedelta(days=1)
        (files / "manifest.toml").write_text(MANIFEST.format(published_at=published_at.isoformat()))
        (files / "readings.csv").write_text("\n".join(_rows(readings)) + "\n")

    def measure(self, clients: int, pace: Pace) -> Pass:
        program = [sys.executable, "-m", "services.cli", "import", "readings"]
        program += [str(self._files / "manifest.toml"), "--files", str(self._files)]
        program += ["--server", self._url, "--org", next(self._organisations)]
        started = perf_counter()
        subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
        return Pass(self.readings / (perf_counter() - started))


def _rows(readings: int) -> Iterator[str]:
    indicators = 100
    yield "indicator,day,value"
    for number in range(readings):
        day = READINGS_FROM + timedelta(days=number // indicators)
        yield f"i-{number % indicators},{day},{number % 997}"


def _asked(command: RecordReadings) -> tuple[str, codec.CommandMessage]:
    subject = subjects.command(ORGANISATION, ACTOR, type(command).__name__)
    return subject, command_message(command, command_id=secrets.token_hex(16))
