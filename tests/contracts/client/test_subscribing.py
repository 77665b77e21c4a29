"""Subscribers hear each event of their organisation once, in order, whatever happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, Self

import pytest
from goal_contracts import subjects
from goal_contracts.client import Client, Select, follow, live
from goal_contracts.client.stream import ApiAnswer, Pace, api_request
from goal_contracts.heard import Heard

from services.embedded.nats_server import NatsServer
from services.ledger.store.log import GoalLog, Outgoing
from services.ledger.store.streams import StreamSettings, ensure_stream
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

QUICK: Final = Pace(
    batch_max=10, heartbeat_s=0.1, request_expires_s=2.0, retry_first_s=0.02, retry_max_s=0.2
)
HEARD_WITHIN_S: Final = 20.0


class Log:
    """A log with events of two organisations; what one of them has, as it should be heard."""

    def __init__(self, log: GoalLog, client: Client) -> None:
        self.client = client
        self.of_acme: list[tuple[int, bytes]] = []
        self._log = log

    async def append(self, count: int, kind: str = "kpi", name: str = "KpiDefined") -> None:
        """So many events of each organisation, in turn."""
        for _ in range(count):
            for organisation_id in ("acme", "other"):
                position = await self._log.last_position() + 1
                payload = f"{organisation_id} {position}".encode()
                subject = subjects.ledger(organisation_id, kind, "g-1", name)
                await self._log.append([Outgoing(subject, payload, 1)], position - 1)
                if organisation_id == "acme":
                    self.of_acme.append((position, payload))


@pytest.fixture
async def log(own_nats_server: NatsServer) -> AsyncIterator[Log]:
    async with await Client.connect(own_nats_server.url) as client:
        await ensure_stream(client.connection, StreamSettings())
        yield Log(GoalLog(client.connection, subjects.STREAM), client)


class Subscriber:
    """Follows in the background and keeps what it hears."""

    def __init__(self, client: Client, **how: object) -> None:
        self.heard: list[Heard] = []
        self._client = client
        self._how = {"pace": QUICK, **how}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        following = follow(self._client, "acme", **self._how)  # type: ignore[arg-type] # as given
        async with contextlib.aclosing(following) as batches:
            async for batch in batches:
                self.heard += batch

    async def has_heard(self, expected: list[tuple[int, bytes]]) -> bool:
        """Just these, and nothing twice."""
        await eventually(lambda: len(self.heard) >= len(expected), HEARD_WITHIN_S)
        return [(each.position, each.payload) for each in self.heard] == expected


async def all_until_now(client: Client, **how: object) -> list[int]:
    found: list[int] = []
    following = follow(client, "acme", until_now=True, pace=QUICK, **how)  # type: ignore[arg-type] # as given
    async with contextlib.aclosing(following) as batches:
        async for batch in batches:
            found += [each.position for each in batch]
    return found


async def test_what_is_stored_comes_first_and_then_what_comes(log: Log) -> None:
    await log.append(25)
    async with Subscriber(log.client) as subscriber:
        await eventually(lambda: len(subscriber.heard) >= 5, HEARD_WITHIN_S)
        await log.append(25)
        assert await subscriber.has_heard(log.of_acme)


async def test_it_goes_on_after_the_position_that_was_kept(log: Log) -> None:
    await log.append(10)
    kept, _ = log.of_acme[3]
    assert await all_until_now(log.client, after=kept) == [each for each, _ in log.of_acme[4:]]


async def test_it_ends_at_once_where_nothing_is(log: Log) -> None:
    assert await all_until_now(log.client) == []
    await log.append(1)
    assert await all_until_now(log.client, after=2) == []


async def test_it_begins_with_what_was_recorded_since_an_instant(log: Log) -> None:
    await log.append(3)
    since = datetime.now(UTC)
    await log.append(2)
    assert await all_until_now(log.client, since=since) == [each for each, _ in log.of_acme[3:]]


async def test_only_what_is_selected_is_heard(log: Log) -> None:
    await log.append(1)
    await log.append(1, "unit", "UnitDefined")
    units = Select(kind="unit")
    assert await all_until_now(log.client, select=units) == [log.of_acme[1][0]]
    named = Select(event="KpiDefined")
    assert await all_until_now(log.client, select=named) == [log.of_acme[0][0]]
    assert await all_until_now(log.client, select=Select(goal_id="g-2")) == []


async def test_a_restarted_server_costs_neither_an_event_nor_a_double(
    log: Log, own_nats_server: NatsServer
) -> None:
    await log.append(15)
    async with Subscriber(log.client) as subscriber:
        assert await subscriber.has_heard(log.of_acme)
        await asyncio.to_thread(own_nats_server.kill)
        await asyncio.to_thread(own_nats_server.restart)
        await eventually(lambda: log.client.connection.is_connected, HEARD_WITHIN_S)
        await log.append(15)
        assert await subscriber.has_heard(log.of_acme)


async def test_a_consumer_that_is_taken_away_is_made_anew(log: Log) -> None:
    await log.append(5)
    async with Subscriber(log.client, consumer="hr-sync") as subscriber:
        assert await subscriber.has_heard(log.of_acme)
        await api_request(
            log.client.connection, f"CONSUMER.DELETE.{subjects.STREAM}.hr-sync", ApiAnswer
        )
        await log.append(5)
        assert await subscriber.has_heard(log.of_acme)


async def test_a_former_consumer_of_the_same_name_is_in_nobodys_way(log: Log) -> None:
    await log.append(5)
    for _ in range(2):
        assert len(await all_until_now(log.client, consumer="hr-sync")) == 5


async def test_live_hears_what_comes_with_its_position(log: Log) -> None:
    await log.append(1)
    heard: list[Heard] = []

    async def listen() -> None:
        async with contextlib.aclosing(live(log.client, "acme")) as events:
            async for each in events:
                heard.append(each)  # noqa: PERF401 - looked at meanwhile

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(HEARD_WITHIN_S):
            while not heard:  # until it listens
                await log.append(1)
        first = heard[0].position
        assert [(each.position, each.payload) for each in heard] == [
            each for each in log.of_acme if each[0] >= first
        ]
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
