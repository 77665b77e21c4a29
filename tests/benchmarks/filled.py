"""A log of so many events, half of them check-ins and half readings, made by the ledger itself."""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from goal_contracts import subjects
from goal_contracts.codec import command_message
from goal_contracts.commands import CheckIn, RecordCheckIns, RecordReadings

from services.ledger.store.log import BATCH_EVENTS_MAX, GoalLog
from tests.benchmarks import clients, processes
from tests.benchmarks.company import (
    ACTOR,
    ORGANISATION,
    Company,
    bulks_of_readings,
    check_in,
)

IN_FLIGHT: Final = 2

Bulk = RecordCheckIns | RecordReadings


def filled_log(home: Path, company: Company, events: int, say: Callable[[str], None]) -> Path:
    """The directory of a nats-server with such a log; made by the ledger itself, once."""
    if not home.exists():
        with processes.nats_server(home) as server, processes.ledger(home, server):
            clients.found(server.url, company)
            asyncio.run(_fill(server.url, company, events, say))
    return home


async def _fill(url: str, company: Company, events: int, say: Callable[[str], None]) -> None:
    async with clients.connections(url, IN_FLIGHT) as [connection, *_]:
        position = await GoalLog(connection, subjects.STREAM).last_position()
        bulks = _bulks(company, events - position)

        async def client() -> None:
            for bulk in bulks:
                message = command_message(bulk, command_id=secrets.token_hex(16))
                subject = subjects.command(ORGANISATION, ACTOR, message.type)
                reply = await clients.accepted(connection, subject, message)
                say(f"filling a log: {reply.position:,} of {events:,} events")

        async with asyncio.TaskGroup() as filling:
            for _ in range(IN_FLIGHT):
                filling.create_task(client())


def _bulks(company: Company, events: int) -> Iterator[Bulk]:
    """Check-ins and readings in turn, a thousand to a command, so many in all."""
    check_ins, readings = _bulks_of_check_ins(company), bulks_of_readings(company, BATCH_EVENTS_MAX)
    for number in range(events // BATCH_EVENTS_MAX):
        yield next(readings) if number % 2 else next(check_ins)
    if rest := events % BATCH_EVENTS_MAX:
        yield RecordCheckIns(next(check_ins).check_ins[:rest])


def _bulks_of_check_ins(company: Company) -> Iterator[RecordCheckIns]:
    run = secrets.token_hex(4)
    said: Iterator[CheckIn] = (
        check_in(key_result, f"{run}-{number}")
        for number, key_result in enumerate(itertools.cycle(company.key_results))
    )
    while True:
        yield RecordCheckIns(tuple(itertools.islice(said, BATCH_EVENTS_MAX)))
