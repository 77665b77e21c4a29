"""Far behind its end a ledger has its log read by another process, and does not depend on it."""

import signal
from functools import partial

import pytest
from goal_contracts.client.stream import ApiAnswer, GapInLog, StoredMessage, StreamInfo, api_request
from msgspec.structs import replace

from services.embedded.nats_server import NatsServer
from services.ledger.store.log import GoalLog, connect
from services.ledger.store.streams import declaration
from tests.ledger.store.own_stream import QUICK, collected, events, own_log, own_settings
from tests.waiting import eventually
from tests.watched import Watched

pytestmark = pytest.mark.anyio

COUNT = 350


@pytest.fixture(autouse=True)
def _far_behind_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.reading_apart.FAR_BEHIND", COUNT - 50)


def far(log: GoalLog, apart: Watched) -> GoalLog:
    return GoalLog(log.client, log.stream, pace=QUICK, apart=apart)


async def told(log: GoalLog, *bounds: int) -> list[StoredMessage]:
    """What it reads, but for the headers, which another process does not hand on."""
    return [replace(message, headers={}) for message in await collected(log.read(*bounds))]


async def test_it_is_what_one_process_reads(nats_url: str) -> None:
    apart = Watched(nats_url)
    async with own_log(nats_url) as log:
        await log.append(events(log, COUNT), 0)
        assert await collected(far(log, apart).read()) == await told(log)
        assert len(apart.processes) == 1
        assert await collected(far(log, apart).read(100)) == await collected(log.read(100))
        assert await collected(far(log, apart).read(0, 340)) == await collected(log.read(0, 340))
        assert len(apart.processes) == 1  # that was not far, and this not to the end


async def test_what_is_stored_later_is_read_on_without_it(nats_url: str) -> None:
    apart = Watched(nats_url)
    async with own_log(nats_url) as log:
        await log.append(events(log, COUNT), 0)
        reading = far(log, apart).read(follow=True)
        read: list[int] = []
        async for batch in reading:
            if not read:
                await log.append(events(log, 10, COUNT + 1), COUNT)
            read += [message.position for message in batch]
            if len(read) == COUNT + 10:
                break
        await reading.aclose()
    assert read == list(range(1, COUNT + 11))
    assert len(apart.processes) == 1


@pytest.mark.parametrize("after_batches", [0, 1, 2])
async def test_killed_it_leaves_the_rest_to_be_read_here(nats_url: str, after_batches: int) -> None:
    apart = Watched(nats_url, signalled=signal.SIGKILL, after_batches=after_batches)
    async with own_log(nats_url) as log:
        await log.append(events(log, COUNT), 0)
        assert await told(far(log, apart)) == await told(log)
    assert [process.returncode for process in apart.processes] == [-signal.SIGKILL]


async def test_a_missing_position_is_named_all_the_same(nats_url: str) -> None:
    settings = own_settings()
    client = await connect(nats_url)
    try:
        unguarded = declaration(settings) | {"deny_delete": False}
        await api_request(client, f"STREAM.CREATE.{settings.name}", StreamInfo, unguarded)
        log = GoalLog(client, settings.name, pace=QUICK)
        await log.append(events(log, COUNT), 0)
        missing = {"seq": 130, "no_erase": True}
        await api_request(client, f"STREAM.MSG.DELETE.{settings.name}", ApiAnswer, missing)
        read: list[StoredMessage] = []
        with pytest.raises(GapInLog) as gap:
            await collected(far(log, Watched(nats_url)).read(), into=read)
        assert (gap.value.expected, gap.value.found) == (130, 131)
        assert [message.position for message in read] == list(range(1, 130))
    finally:
        await client.close()


async def test_a_server_that_is_away_is_waited_for(own_nats_server: NatsServer) -> None:
    apart = Watched(own_nats_server.url)
    async with own_log(own_nats_server.url) as log:
        await log.append(events(log, COUNT), 0)
        own_nats_server.kill()
        await eventually(lambda: not log.client.is_connected)
        troubles: list[str] = []

        def trouble(error: Exception, _again_in_s: float) -> None:
            troubles.append(str(error))
            if len(troubles) == 2:
                own_nats_server.restart()

        reading = partial(far(log, apart).read, on_trouble=trouble)
        assert len(await collected(reading())) == COUNT
    assert len(troubles) >= 2
