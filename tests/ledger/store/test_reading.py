"""Reading the log: each position once, none left out, and a consumer that vanishes is replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
from goal_contracts.client import stream
from goal_contracts.client.stream import (
    ApiAnswer,
    GapInLog,
    Pace,
    StoredMessage,
    StreamInfo,
    StreamUnavailable,
    api_request,
    read_stream,
)
from nats.aio.msg import Msg

from services.embedded.nats_server import NatsServer
from services.ledger.store.log import GoalLog, connect
from services.ledger.store.streams import declaration
from tests.ledger.store.own_stream import (
    QUICK,
    all_consumers_gone,
    collected,
    consumers,
    events,
    everything,
    own_log,
    own_settings,
)
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


class Follower:
    """Reads on in the background, and counts the times it had to begin anew."""

    def __init__(self, log: GoalLog, pace: Pace = QUICK) -> None:
        self.messages: list[StoredMessage] = []
        self.troubles: list[str] = []
        self._batches = read_stream(
            log.client, log.stream, after=0, follow=True, pace=pace, on_trouble=self._on_trouble
        )

    @property
    def positions(self) -> list[int]:
        return [message.position for message in self.messages]

    def has(self, count: int) -> bool:
        return len(self.messages) == count

    def _on_trouble(self, error: Exception, again_in_s: float) -> None:
        self.troubles.append(str(error))

    async def run(self) -> None:
        async with aclosing(self._batches) as batches:
            async for batch in batches:
                self.messages += batch


@asynccontextmanager
async def following(log: GoalLog, pace: Pace = QUICK) -> AsyncIterator[Follower]:
    follower = Follower(log, pace)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_read_ends_at_the_last_position_and_hands_on_every_message(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        assert await everything(log) == []
        for first in range(1, 1_000, 250):
            await log.append(events(log, 250, first), first - 1)
        stored = await everything(log)
        assert [message.position for message in stored] == list(range(1, 1_001))
        assert stored[999].payload == b"event 1000"
        assert await log.get([1, 500, 1_000]) == [stored[0], stored[499], stored[999]]


async def test_a_read_begins_after_one_position_and_ends_at_another(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        await log.append(events(log, 500), 0)
        async with aclosing(log.read(after=120, until=430)) as batches:
            sizes = [(batch[0].position, batch[-1].position) async for batch in batches]
        assert sizes[0][0] == 121
        assert sizes[-1][1] == 430
        assert all(last - first < QUICK.batch_max for first, last in sizes)


async def test_a_read_leaves_no_consumer_behind(nats_url: str) -> None:
    async with own_log(nats_url) as log:
        await log.append(events(log, 300), 0)
        await everything(log)
        async with aclosing(log.read()) as batches:
            async for _ in batches:
                break
        await all_consumers_gone(log)


async def test_a_follower_sees_what_is_stored_later(nats_url: str) -> None:
    async with own_log(nats_url) as log, following(log) as follower:
        for position in range(5):
            await log.append(events(log, 1, position + 1), position)
            await eventually(partial(follower.has, position + 1))
        assert follower.troubles == []


async def test_a_consumer_that_vanishes_is_replaced_at_the_position_reached(
    nats_url: str,
) -> None:
    async with own_log(nats_url) as log, following(log) as follower:
        await log.append(events(log, 250), 0)
        await eventually(lambda: len(follower.messages) == 250)
        requests_before = log.client.stats["out_msgs"]
        for name in await consumers(log):
            await api_request(log.client, f"CONSUMER.DELETE.{log.stream}.{name}", ApiAnswer)
        await log.append(events(log, 250, 251), 250)
        await eventually(lambda: len(follower.messages) == 500)
        assert follower.positions == list(range(1, 501))
        assert len(follower.troubles) == 1
        assert log.client.stats["out_msgs"] - requests_before < 300


async def test_a_server_that_restarts_costs_few_requests_and_no_message(
    own_nats_server: NatsServer,
) -> None:
    async with own_log(own_nats_server.url) as log, following(log) as follower:
        await log.append(events(log, 250), 0)
        await eventually(lambda: len(follower.messages) == 250)
        requests_before = log.client.stats["out_msgs"]
        own_nats_server.kill()
        await eventually(lambda: len(follower.troubles) >= 3)
        own_nats_server.restart()
        await eventually(lambda: log.client.is_connected)
        await log.append(events(log, 50, 251), 250)
        await eventually(lambda: len(follower.messages) == 300)
        assert follower.positions == list(range(1, 301))
        assert len(follower.troubles) < 30
        assert log.client.stats["out_msgs"] - requests_before < 150


async def test_a_missing_position_stops_the_reader(nats_url: str) -> None:
    settings = own_settings()
    client = await connect(nats_url)
    try:
        await api_request(
            client,
            f"STREAM.CREATE.{settings.name}",
            StreamInfo,
            declaration(settings) | {"deny_delete": False},
        )
        log = GoalLog(client, settings.name, pace=QUICK)
        await log.append(events(log, 10), 0)
        await api_request(
            client, f"STREAM.MSG.DELETE.{settings.name}", ApiAnswer, {"seq": 4, "no_erase": True}
        )
        read: list[StoredMessage] = []
        with pytest.raises(GapInLog) as gap:
            await collected(log.read(), into=read)
        assert (gap.value.expected, gap.value.found) == (4, 5)
        assert [message.position for message in read] == [1, 2, 3]
        with pytest.raises(GapInLog):
            await log.get([3, 4])
    finally:
        await client.close()


async def test_a_log_that_ends_before_the_position_asked_for_stops_the_reader(
    nats_url: str,
) -> None:
    async with own_log(nats_url) as log:
        await log.append(events(log, 3), 0)
        for follow in (False, True):
            with pytest.raises(GapInLog) as gap:
                await collected(log.read(after=7, follow=follow))
            assert (gap.value.expected, gap.value.found) == (7, 3)


async def test_a_message_lost_on_the_way_is_fetched_again(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = stream._Pull._take
    lost: list[str] = []

    async def lossy(pull: stream._Pull, message: Msg) -> None:
        if message.data == b"event 40" and not lost:
            lost.append(message.reply)
            return
        await take(pull, message)

    monkeypatch.setattr(stream._Pull, "_take", lossy)
    async with own_log(nats_url) as log:
        await log.append(events(log, 90), 0)
        stored = await everything(log)
    assert len(lost) == 1
    assert [message.position for message in stored] == list(range(1, 91))


async def test_requests_that_run_out_while_nothing_happens_are_made_again(nats_url: str) -> None:
    pace = replace(QUICK, request_expires_s=0.25)
    async with own_log(nats_url) as log, following(log, pace) as follower:
        asked = log.client.stats["out_msgs"]
        await eventually(lambda: log.client.stats["out_msgs"] > asked + 3 * pace.requests_open)
        await log.append(events(log, 1), 0)
        await eventually(lambda: len(follower.messages) == 1)
        assert follower.troubles == []


async def test_a_slow_reader_loses_nothing(nats_url: str) -> None:
    pace = replace(QUICK, consumer_idle_s=0.2, request_expires_s=0.3)
    async with own_log(nats_url) as log:
        await log.append(events(log, 1_000), 0)
        positions: list[int] = []
        batches = read_stream(log.client, log.stream, after=0, pace=pace)
        async with aclosing(batches):
            async for batch in batches:
                positions += [message.position for message in batch]
                if len(positions) == 100:
                    await all_consumers_gone(log)
    assert positions == list(range(1, 1_001))


async def test_patience_has_an_end_where_one_is_stated(own_nats_server: NatsServer) -> None:
    async with own_log(own_nats_server.url) as log:
        await log.append(events(log, 3), 0)
        own_nats_server.kill()
        await eventually(lambda: not log.client.is_connected)
        pace = replace(QUICK, patience_s=0.3)
        with pytest.raises(StreamUnavailable):
            await collected(read_stream(log.client, log.stream, after=0, pace=pace))
