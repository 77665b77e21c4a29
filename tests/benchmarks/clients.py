"""The clients of a measurement: closed loops in this process, on a few connections they share."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
import nats
from goal_contracts import codec, subjects
from goal_contracts.codec import CommandMessage, command_message
from goal_contracts.replies import Accepted
from msgspec.structs import replace
from nats.aio.client import Client

from services.ledger.store.log import GoalLog
from tests.benchmarks.company import ACTOR, ORGANISATION, Company, check_in
from tests.benchmarks.passes import Pace, Pass, Step, closed_loops
from tests.benchmarks.processes import cpu_s

CLIENTS_PER_CONNECTION: Final = 16
REQUEST_TIMEOUT_S: Final = 30.0
MICROSECONDS: Final = 1_000_000
FOUNDING_AT_ONCE: Final = 64
EXPECTED_LAST_OF_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence"


class NotAcknowledged(Exception):
    """An answer that is not the acknowledgement the measurement counts."""


class PublishAck(msgspec.Struct, frozen=True):
    """What JetStream answers to a publish: the sequence, or an error."""

    seq: int = 0
    error: msgspec.Raw = msgspec.Raw(b"null")


_ack: Final = msgspec.json.Decoder(PublishAck)


@contextlib.asynccontextmanager
async def connections(url: str, clients: int) -> AsyncIterator[list[Client]]:
    """One connection for every 16 clients, handed out in turn."""
    count = -(-clients // CLIENTS_PER_CONNECTION)
    opened = [await nats.connect(url) for _ in range(count)]
    try:
        yield [opened[client % count] for client in range(clients)]
    finally:
        for connection in opened:
            await connection.close()


class CommandsAt:
    """Check-ins through the door `goals.command.>`, whoever answers there, in which process."""

    def __init__(self, name: str, url: str, company: Company, *, process_id: int) -> None:
        self.name = name
        self.url = url
        self._process_id = process_id
        self._key_results = company.key_results
        self._run = secrets.token_hex(4)
        self._numbers = itertools.count()

    def measure(self, clients: int, pace: Pace) -> Pass:
        first, cpu_before_s = next(self._numbers), cpu_s(self._process_id)
        measured = asyncio.run(self._measure(clients, pace))
        used_s, sent = cpu_s(self._process_id) - cpu_before_s, next(self._numbers) - first - 1
        return replace(measured, cpu_us=used_s / sent * MICROSECONDS)

    async def _measure(self, clients: int, pace: Pace) -> Pass:
        async with connections(self.url, clients) as held:
            return await closed_loops(
                [self._client(connection, number) for number, connection in enumerate(held)], pace
            )

    def _client(self, connection: Client, number: int) -> Step:
        # Neighbours begin far from each other, so that they seldom speak of the same key result.
        key_results = itertools.cycle(_from(self._key_results, number))
        subject = subjects.command(ORGANISATION, ACTOR, "CheckIn")

        async def step() -> int:
            said = f"{self._run}-{next(self._numbers)}"
            message = command_message(check_in(next(key_results), said), command_id=said)
            await accepted(connection, subject, message, events=1)
            return 1

        return step


class RawPublishes:
    """JetStream publishes that expect the last sequence of their subject and wait for the ack."""

    name = "raw publish"

    def __init__(self, url: str, company: Company, payload: bytes) -> None:
        self.url = url
        self.payload = payload
        self._last = {
            subjects.ledger(ORGANISATION, "key_result", key_result, "CheckedIn"): 0
            for key_result in company.key_results
        }

    def measure(self, clients: int, pace: Pace) -> Pass:
        return asyncio.run(self._measure(clients, pace))

    async def _measure(self, clients: int, pace: Pace) -> Pass:
        async with connections(self.url, clients) as held:
            return await closed_loops(
                [
                    self._client(connection, own)
                    for number, connection in enumerate(held)
                    if (own := list(self._last)[number::clients])
                ],
                pace,
            )

    def _client(self, connection: Client, own: Sequence[str]) -> Step:
        in_turn = itertools.cycle(own)

        async def step() -> int:
            subject = next(in_turn)
            answer = await connection.request(
                subject,
                self.payload,
                timeout=REQUEST_TIMEOUT_S,
                headers={EXPECTED_LAST_OF_SUBJECT: str(self._last[subject])},
            )
            ack = _ack.decode(answer.data)
            if not ack.seq:
                raise NotAcknowledged(bytes(ack.error).decode())
            self._last[subject] = ack.seq
            return 1

        return step


async def accepted(
    connection: Client, subject: str, message: CommandMessage, *, events: int | None = None
) -> Accepted:
    """Sends a command; NotAcknowledged unless it is accepted, with so many events if named."""
    answer = await connection.request(subject, codec.encode(message), timeout=REQUEST_TIMEOUT_S)
    reply = codec.decode_reply(answer.data)
    if not isinstance(reply, Accepted) or (events is not None and reply.events != events):
        raise NotAcknowledged(repr(reply))
    return reply


def found(url: str, company: Company) -> None:
    """Makes the company through the door."""
    asyncio.run(_found(url, company))


async def _found(url: str, company: Company) -> None:
    async with connections(url, FOUNDING_AT_ONCE) as held:
        room = asyncio.Semaphore(FOUNDING_AT_ONCE)

        async def send(number: int, message: CommandMessage) -> None:
            async with room:
                subject = subjects.command(ORGANISATION, ACTOR, message.type)
                await accepted(held[number % len(held)], subject, message)

        for stage in company.founding_messages():
            await asyncio.gather(*(send(number, each) for number, each in enumerate(stage)))


def stored_check_in(url: str, company: Company) -> bytes:
    """What the ledger stores for one check-in, byte for byte."""
    return asyncio.run(_stored_check_in(url, company))


async def _stored_check_in(url: str, company: Company) -> bytes:
    async with connections(url, 1) as [connection]:
        said = secrets.token_hex(8)
        reply = await accepted(
            connection,
            subjects.command(ORGANISATION, ACTOR, "CheckIn"),
            command_message(check_in(company.key_results[0], said), command_id=said),
        )
        [stored] = await GoalLog(connection, subjects.STREAM).get([reply.position])
        return stored.payload


def last_position(url: str) -> int:
    """How many events the log has."""

    async def ask() -> int:
        async with connections(url, 1) as [connection]:
            return await GoalLog(connection, subjects.STREAM).last_position()

    return asyncio.run(ask())


def _from(items: Sequence[str], number: int) -> list[str]:
    """All of them, beginning at a place of the client's own."""
    start = number * 37 % len(items)
    return [*items[start:], *items[:start]]
