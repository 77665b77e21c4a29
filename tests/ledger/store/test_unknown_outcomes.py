"""What was not acknowledged: no write appears behind the ledger's back, and it finds out."""

import asyncio
import os
import signal

import nats
import nats.errors
import pytest

from services.embedded.nats_server import NatsServer
from services.ledger.store.log import Conflict, GoalLog, OutcomeUnknown, connect_options
from tests.ledger.store.own_stream import QUICK, event, events, own_log, own_settings, payloads
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


def lose(monkeypatch: pytest.MonkeyPatch, log: GoalLog, *, request_too: bool) -> None:
    """The next append's acknowledgement is lost on its way, or the append itself."""
    put = log.outbox.put

    def lost(subject: str, payload: bytes, reply_to: str, headers: str) -> None:
        if not request_too:
            put(subject, payload, reply_to and "nobody", headers)
        if reply_to:  # it was the last, and nobody answers
            monkeypatch.setattr(log.outbox, "put", put)

    monkeypatch.setattr(log.outbox, "put", lost)


@pytest.mark.parametrize("count", [1, 4])
async def test_a_write_made_while_disconnected_never_appears(
    own_nats_server: NatsServer, count: int
) -> None:
    async with own_log(own_nats_server.url) as log:
        own_nats_server.kill()
        await eventually(lambda: not log.client.is_connected)
        for _ in range(3):
            with pytest.raises(OutcomeUnknown, match="not sent"):
                await log.append([event(log, "ghost")] * count, 0)
        own_nats_server.restart()
        await eventually(lambda: log.client.is_connected)
        await log.client.flush()
        assert await log.last_position() == 0
        await log.append([event(log, "real")] * count, 0)
        assert await payloads(log) == ["real"] * count


async def test_nor_does_one_on_a_connection_that_buffers(own_nats_server: NatsServer) -> None:
    settings = own_settings()
    options = {**connect_options(), "pending_size": 2**20}
    client = await nats.connect(own_nats_server.url, **options)
    try:
        async with own_log(own_nats_server.url, settings):
            log = GoalLog(client, settings.name, pace=QUICK)
            own_nats_server.kill()
            await eventually(lambda: not client.is_connected)
            with pytest.raises(OutcomeUnknown, match="not sent"):
                await log.append([event(log, "ghost")], 0)
            own_nats_server.restart()
            await eventually(lambda: client.is_connected)
            await client.flush()
            assert await log.last_position() == 0
    finally:
        await client.close()


async def test_nothing_of_what_waits_behind_a_stalled_socket_is_sent_on_the_next_connection(
    own_nats_server: NatsServer,
) -> None:
    async with own_log(own_nats_server.url) as log:
        assert own_nats_server.pid is not None
        sent_before = log.client.stats["out_msgs"]
        group = [event(log, f"{number:05}" * 10_000) for number in range(1_000)]
        os.kill(own_nats_server.pid, signal.SIGSTOP)
        half_sent = asyncio.create_task(log.append(group, 0))
        await eventually(lambda: log.client.stats["out_msgs"] == sent_before + 1_000)
        not_sent = asyncio.create_task(log.append([event(log, "ghost")], 0))
        await eventually(lambda: log.client.stats["out_msgs"] == sent_before + 1_001)
        for append in (half_sent, not_sent):
            with pytest.raises(OutcomeUnknown):
                await append
        assert log.client.pending_data_size > 0
        own_nats_server.kill()
        await eventually(lambda: not log.client.is_connected)
        own_nats_server.restart()
        await eventually(lambda: log.client.is_connected)
        await log.client.flush()
        assert await log.last_position() == 0
        assert await log.append(events(log, 2), 0) == 2
        assert await payloads(log) == ["event 1", "event 2"]


@pytest.mark.parametrize("count", [1, 4])
async def test_a_write_that_lands_late_is_found_and_not_stored_twice(
    own_nats_server: NatsServer, count: int
) -> None:
    async with own_log(own_nats_server.url) as log:
        assert own_nats_server.pid is not None
        group = events(log, count)
        os.kill(own_nats_server.pid, signal.SIGSTOP)
        with pytest.raises(OutcomeUnknown):
            await log.append(group, 0)
        os.kill(own_nats_server.pid, signal.SIGCONT)
        assert await log.settle(group, 0) == count
        assert len(await payloads(log)) == count


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("request_too", [True, False])
async def test_settling_gives_the_position_whether_or_not_it_was_stored(
    nats_url: str, monkeypatch: pytest.MonkeyPatch, count: int, request_too: bool
) -> None:
    async with own_log(nats_url) as log:
        group = events(log, count)
        lose(monkeypatch, log, request_too=request_too)
        with pytest.raises(OutcomeUnknown):
            await log.append(group, 0)
        assert await log.settle(group, 0) == count
        assert await payloads(log) == [f"event {number}" for number in range(1, count + 1)]


async def test_settling_is_a_conflict_when_others_took_the_place(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = own_settings()
    async with own_log(nats_url, settings) as ours, own_log(nats_url, settings) as theirs:
        group = [event(ours, "ours")]
        lose(monkeypatch, ours, request_too=True)
        with pytest.raises(OutcomeUnknown):
            await ours.append(group, 0)
        await theirs.append([event(theirs, "theirs")], 0)
        with pytest.raises(Conflict):
            await ours.settle(group, 0)
        assert await payloads(ours) == ["theirs"]
