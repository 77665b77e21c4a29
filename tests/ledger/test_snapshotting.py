"""When snapshots are written, and that no trouble with them stops the ledger."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats.errors
import pytest
import structlog.testing
from goal_contracts.commands import DefineUnit
from goal_contracts.replies import Accepted
from nats.aio.client import Client

from services.ledger import snapshotting
from services.ledger.domain.frozen_state import Held
from services.ledger.handlers import new_event_ids
from services.ledger.snapshotting import keep_snapshots, save_if_due
from services.ledger.store.log import GoalLog
from services.ledger.store.snapshots import SnapshotStore
from services.ledger.store.streams import StreamSettings
from services.ledger.writer import Writer
from tests.ledger.on_a_stream import Ledger
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


class Unwritable(SnapshotStore):
    """Fails so many times."""

    failures = 1

    async def save(self, held: Held, *, rest: float = 0) -> int:
        if self.failures:
            self.failures -= 1
            raise nats.errors.TimeoutError
        return await super().save(held, rest=rest)


@pytest.fixture
def snapshots(nats_client: Client, stream_settings: StreamSettings) -> SnapshotStore:
    return SnapshotStore(nats_client, stream_settings.name)


def unit(number: int) -> DefineUnit:
    return DefineUnit(unit_id=f"team-{number}", name=f"Team {number}", unit_kind="team")


@contextlib.asynccontextmanager
async def kept(ledger: Ledger, snapshots: SnapshotStore) -> AsyncIterator[None]:
    """While it runs, a snapshot is written after every ten events."""
    task = asyncio.create_task(
        keep_snapshots(ledger.writer, snapshots, events_between=10, look_every_s=0.001)
    )
    try:
        yield
        assert not task.done()
    finally:
        while not task.done():  # nats-py may swallow a cancellation that comes with an answer
            task.cancel()
            await asyncio.wait([task], timeout=0.01)


async def test_one_is_written_whenever_so_many_events_have_come(
    ledger: Ledger, snapshots: SnapshotStore
) -> None:
    async with kept(ledger, snapshots):
        await ledger.ask(*map(unit, range(9)))
        await eventually(lambda: snapshots.position == 10)
        await ledger.ask(*map(unit, range(10, 15)))
        await ledger.ask(*map(unit, range(15, 20)))
        await eventually(lambda: snapshots.position == 20)


async def test_while_many_events_come_half_as_many_again_have_to_have_come(
    ledger: Ledger, snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.ask(*map(unit, range(99)))
    await save_if_due(ledger.writer, snapshots, 10)
    with monkeypatch.context() as busy:
        busy.setattr(snapshotting, "MANY", 0)
        async with kept(ledger, snapshots):
            await ledger.ask(*map(unit, range(99, 148)))
            await asyncio.sleep(0.05)
            assert snapshots.position == 100
            await ledger.ask(unit(148))
            await eventually(lambda: snapshots.position == 150)
            await ledger.ask(*map(unit, range(149, 169)))
            await asyncio.sleep(0.05)
            assert snapshots.position == 150
    async with kept(ledger, snapshots):
        await eventually(lambda: snapshots.position == 170)


async def test_while_many_events_come_it_is_written_with_rests(
    ledger: Ledger, snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def noted(held: Held, *, rest: float = 0) -> int:
        rests.append(rest)
        return await SnapshotStore.save(snapshots, held, rest=rest)

    monkeypatch.setattr(snapshots, "save", noted)
    await ledger.ask(*map(unit, range(99)))
    with monkeypatch.context() as busy:
        busy.setattr(snapshotting, "MANY", 0)
        async with kept(ledger, snapshots):
            await eventually(lambda: snapshots.position == 100)
    await ledger.ask(*map(unit, range(99, 119)))
    async with kept(ledger, snapshots):
        await eventually(lambda: snapshots.position == 120)
    assert rests == [snapshotting.REST_WHILE_BUSY, 0]


async def test_no_more_is_written_than_is_due(ledger: Ledger, snapshots: SnapshotStore) -> None:
    await ledger.ask(*map(unit, range(8)))
    assert await save_if_due(ledger.writer, snapshots, 10)
    assert snapshots.position == 0
    await ledger.ask(unit(8))
    assert await save_if_due(ledger.writer, snapshots, 10)
    assert snapshots.position == 10


async def test_after_one_was_loaded_the_events_are_counted_from_it(
    ledger: Ledger, snapshots: SnapshotStore, nats_client: Client, stream_settings: StreamSettings
) -> None:
    await ledger.ask(*map(unit, range(9)))
    await save_if_due(ledger.writer, snapshots, 10)
    again = SnapshotStore(nats_client, stream_settings.name)
    await again.newest_good()
    await ledger.ask(unit(9))
    await save_if_due(ledger.writer, again, 10)
    assert again.position == 10


async def test_trouble_is_a_warning_and_the_next_one_is_tried_later(
    ledger: Ledger,
    nats_client: Client,
    stream_settings: StreamSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshotting, "AFTER_TROUBLE_S", 0.001)
    snapshots = Unwritable(nats_client, stream_settings.name)
    await ledger.ask(*map(unit, range(9)))
    with structlog.testing.capture_logs() as lines:
        async with kept(ledger, snapshots):
            await eventually(lambda: any(line["event"] == "snapshot_written" for line in lines))
    events = [line["event"] for line in lines if line["event"].startswith("snapshot")]
    assert events == ["snapshot_failed", "snapshot_written"]
    [reply] = await ledger.ask(unit(10))
    assert isinstance(reply, Accepted)


async def test_an_empty_ledger_has_nothing_to_write(
    nats_client: Client, stream_settings: StreamSettings
) -> None:
    snapshots = SnapshotStore(nats_client, stream_settings.name)
    writer = Writer(GoalLog(nats_client, stream_settings.name), new_event_ids)
    assert await save_if_due(writer, snapshots, 0)
    assert snapshots.position == 0
