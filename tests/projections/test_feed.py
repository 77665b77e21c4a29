"""The feed over a real server: nothing twice, nothing left out, nothing guessed."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast
from uuid import uuid4

import msgspec
import nats
import pytest
from goal_contracts import codec, events
from goal_contracts.client.stream import GapInLog, Pace
from goal_contracts.codec import Recorded, UndecodableEvent
from nats.aio.client import Client

from services.embedded.nats_server import NatsServer
from services.projections.feed import AnotherLog, Feed
from services.projections.view_store.store import StoreUnavailable, ViewStore
from services.projections.views.current import BrokenHistory, UnknownEvent
from services.projections.views.rows import Rows
from services.reading_apart import ReadingApart
from tests.projections.company import opened
from tests.projections.log import Asker, Log, append, fill, make_stream, view_store
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

SMALL = Pace(batch_max=3, heartbeat_s=0.2, retry_first_s=0.02)
MORE = 25


@pytest.fixture
async def stream(nats_client: Client) -> str:
    return await make_stream(nats_client, f"o-{uuid4().hex[:8]}")


@pytest.fixture
def log(stream: str) -> Log:
    return log_of(stream.removeprefix("GOALS-"))


def log_of(organisation_id: str, more: int = MORE) -> Log:
    log = Log()
    for recorded in opened():
        event = recorded.event
        if isinstance(event, events.OrganisationOpened):
            event = msgspec.structs.replace(event, organisation_id=organisation_id)
        log.add(event, organisation_id=organisation_id)  # type: ignore[arg-type]  # all are known
    for number in range(more):
        renamed = events.UnitRenamed("company", name_was="Acme", name=f"Acme {number}")
        log.add(renamed, organisation_id=organisation_id)
    return log


@contextlib.asynccontextmanager
async def running(
    client: Client, stream: str, store: ViewStore, apart: ReadingApart | None = None
) -> AsyncIterator[Feed]:
    feed = Feed(client, stream, store, SMALL, apart=apart)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def plain(log: Log, path: Path) -> dict[str, list[bytes]]:
    """What the views must hold: the log as one batch, in another database."""
    path.mkdir()
    store = view_store(path)
    fill(store, log)
    export = exported(store, log)
    store.close()
    return export


def exported(store: ViewStore, log: Log) -> dict[str, list[bytes]]:
    return Asker(store, log[0].organisation_id).export()


async def test_what_is_stored_and_what_comes_live_is_in_the_views(
    nats_client: Client, stream: str, log: Log, store: ViewStore, tmp_path: Path
) -> None:
    half = len(log) // 2
    for recorded in log[:half]:
        await append(nats_client, recorded)
    async with running(nats_client, stream, store) as feed:
        assert await feed.reaches(half, 5)
        for recorded in log[half:]:
            await append(nats_client, recorded)
        assert await feed.reaches(len(log), 5)
        assert feed.health is None
    assert store.position() == len(log)
    assert exported(store, log) == plain(log, tmp_path / "plain")


async def test_it_goes_on_where_it_was_stopped_at_any_moment(
    nats_client: Client, stream: str, log: Log, store: ViewStore, tmp_path: Path
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    while store.position() < len(log):
        async with running(nats_client, stream, store) as feed:
            assert await feed.reaches(min(store.position() + 1, len(log)), 5)
    assert exported(store, log) == plain(log, tmp_path / "plain")


async def test_it_waits_for_a_stream_that_is_not_there_yet(
    nats_client: Client, store: ViewStore
) -> None:
    organisation_id = f"o-{uuid4().hex[:8]}"
    log = log_of(organisation_id, more=0)
    async with running(nats_client, f"GOALS-{organisation_id}", store) as feed:
        await eventually(lambda: feed.health is not None and "stream not found" in feed.health)
        await make_stream(nats_client, organisation_id)
        for recorded in log:
            await append(nats_client, recorded)
        assert await feed.reaches(len(log), 10)


async def test_a_gap_stops_it_before_the_gap(
    nats_client: Client, stream: str, log: Log, store: ViewStore
) -> None:
    for recorded in log[:8]:
        await append(nats_client, recorded)
    await nats_client.request(f"$JS.API.STREAM.MSG.DELETE.{stream}", b'{"seq":5}')
    async with running(nats_client, stream, store) as feed:
        await eventually(lambda: feed.stopped_by is not None)
        assert isinstance(feed.stopped_by, GapInLog)
        assert feed.health is not None
        assert "position 5 is missing" in feed.health
        assert not await feed.reaches(5, 5)
    assert store.position() == 4


def _unknown(recorded: Recorded) -> bytes:
    payload = msgspec.json.decode(codec.encode_event(recorded))
    return msgspec.json.encode({**payload, "type": "goals.UnitTeleported.v1"})


def _unfollowed(recorded: Recorded) -> bytes:
    payload = codec.encode_event(recorded)
    return payload.replace(b"company", b"nowhere")


@pytest.mark.parametrize(
    ("payload", "error", "said"),
    [
        (_unknown, UnknownEvent, "goals.UnitTeleported.v1"),
        (lambda _: b'{"specversion":', UndecodableEvent, "cannot be read"),
        (_unfollowed, BrokenHistory, "unit/nowhere"),
    ],
)
async def test_an_event_it_must_not_pass_over_stops_it_by_name(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    payload: Callable[[Recorded], bytes],
    error: type[Exception],
    said: str,
) -> None:
    poison = 20
    for recorded in log[: poison - 1]:
        await append(nats_client, recorded)
    await append(nats_client, log[poison - 1], payload(log[poison - 1]))
    await append(nats_client, log[poison])
    async with running(nats_client, stream, store) as feed:
        await eventually(lambda: feed.stopped_by is not None)
        assert isinstance(feed.stopped_by, error)
        assert feed.health is not None
        assert f"position {poison}" in feed.health
        assert said in feed.health
        assert feed.position == poison - 1
    assert store.position() == poison - 1
    before = exported(store, log)
    async with running(nats_client, stream, store) as feed:  # and again after a restart
        await eventually(lambda: feed.stopped_by is not None)
    assert exported(store, log) == before


@pytest.mark.parametrize("events_there", [3, 8, 20])
async def test_views_of_another_log_are_not_gone_on_with(
    nats_client: Client, stream: str, log: Log, store: ViewStore, events_there: int
) -> None:
    fill(store, log[:8])
    for recorded in log[:events_there]:
        changed = msgspec.structs.replace(recorded, actor="somebody-else")
        await append(nats_client, changed)
    async with running(nats_client, stream, store) as feed:
        await eventually(lambda: feed.stopped_by is not None)
        assert isinstance(feed.stopped_by, AnotherLog if events_there >= 8 else GapInLog)
    assert store.position() == 8


class Flaky(ViewStore):
    """Fails now and then, before anything is written."""

    writes = 0

    def write(self, rows: Rows, first: int, last: int) -> None:
        self.writes += 1
        if self.writes % 3 == 2:
            raise StoreUnavailable("the disk is full")
        super().write(rows, first, last)


async def test_a_store_that_fails_is_tried_again_and_nothing_is_lost(
    nats_client: Client, stream: str, log: Log, store: ViewStore, tmp_path: Path
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    flaky = Flaky(store.engine, "GOALS")
    async with running(nats_client, stream, flaky) as feed:
        assert await feed.reaches(len(log), 20)
    assert flaky.writes > 3
    assert exported(store, log) == plain(log, tmp_path / "plain")


class Settled(ViewStore):
    """Says how far it was each time it was told to settle."""

    def __init__(self, store: ViewStore) -> None:
        super().__init__(store.engine, "GOALS")
        self.at: list[int] = []

    def settle(self) -> None:
        super().settle()
        self.at.append(self.position())


class Laid(ViewStore):
    """Says how far it was each time it was to be laid in order, and cannot."""

    def __init__(self, store: ViewStore) -> None:
        super().__init__(store.engine, "GOALS")
        self.at: list[int] = []

    def lay_in_order(self) -> None:
        self.at.append(self.position())
        raise StoreUnavailable("somebody reads")


async def test_a_long_stretch_of_the_log_is_laid_in_order_once_its_end_is_there(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *before, another, last = log
    for recorded in before:
        await append(nats_client, recorded)
    short = Laid(store)
    async with running(nats_client, stream, short) as feed:
        assert await feed.reaches(len(before), 20)
    monkeypatch.setattr("services.projections.feed.LAID_IN_ORDER_FROM", 1)
    await append(nats_client, another)
    laid = Laid(store)
    async with running(nats_client, stream, laid) as feed:
        assert await feed.reaches(len(before) + 1, 20)
        await eventually(lambda: bool(laid.at))
        # Where it cannot be, the views go on, and it is not tried again at each event.
        await append(nats_client, last)
        assert await feed.reaches(len(log), 20)
        assert feed.health is None
    assert (short.at, laid.at) == ([], [len(before) + 1])


async def test_what_is_stored_is_settled_now_and_then(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.projections.feed.SETTLED_EVERY", 10)
    settled = Settled(store)
    async with running(nats_client, stream, settled) as feed:
        for recorded in log:
            await append(nats_client, recorded)
        assert await feed.reaches(len(log), 5)
        await eventually(lambda: len(settled.at) >= 2)
    assert settled.at[0] >= 10
    assert settled.at[1] >= 20


async def test_what_is_stored_during_a_settling_is_settled_right_after_it(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.projections.feed.SETTLED_EVERY", 10)
    go_on = threading.Event()

    class Held(Settled):
        def settle(self) -> None:
            super().settle()
            go_on.wait(20)

    held = Held(store)
    async with running(nats_client, stream, held) as feed:
        for recorded in log[:10]:
            await append(nats_client, recorded)
        await eventually(lambda: held.at == [10])
        for recorded in log[10:]:
            await append(nats_client, recorded)
        assert await feed.reaches(len(log), 5)
        assert held.at == [10]
        go_on.set()
        await eventually(lambda: held.at == [10, len(log)])


async def test_it_outlives_the_server(
    own_nats_server: NatsServer, store: ViewStore, tmp_path: Path
) -> None:
    client = await nats.connect(
        own_nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=cast("int", 0.05)
    )
    log = log_of("o-server")
    half = len(log) // 2
    stream = await make_stream(client, "o-server")
    for recorded in log[:half]:
        await append(client, recorded)
    async with running(client, stream, store) as feed:
        assert await feed.reaches(half, 5)
        own_nats_server.kill()
        own_nats_server.start()
        writer = await nats.connect(own_nats_server.url)
        for recorded in log[half:]:
            await append(writer, recorded)
        assert await feed.reaches(len(log), 20)
        await writer.close()
    assert exported(store, log) == plain(log, tmp_path / "plain")
    await client.close()
