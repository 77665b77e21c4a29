"""A long log is read by a process of its own: the same messages, and nothing depends on it."""

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from goal_contracts import codec, events
from goal_contracts.client.stream import GapInLog, read_stream
from msgspec.structs import replace
from nats.aio.client import Client

from services.projections.view_store.store import ViewStore
from services.projections.views.current import BrokenHistory
from services.reading_apart import TURN_S, ReadingApart, in_haste
from tests.projections.log import Log, append, make_stream
from tests.projections.test_feed import SMALL, exported, log_of, plain, running
from tests.waiting import eventually
from tests.watched import Watched

pytestmark = pytest.mark.anyio

MORE = 60
START_S = 30.0


@pytest.fixture(autouse=True)
def _far_behind_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.reading_apart.FAR_BEHIND", 10)


@pytest.fixture
async def stream(nats_client: Client) -> str:
    return await make_stream(nats_client, f"o-{uuid4().hex[:8]}")


@pytest.fixture
def log(stream: str) -> Log:
    return log_of(stream.removeprefix("GOALS-"), MORE)


@pytest.fixture
def apart(nats_url: str) -> Iterator[Watched]:
    apart = Watched(nats_url)
    yield apart
    assert apart.processes
    assert all(process.returncode is not None for process in apart.processes)


async def test_it_reads_what_anybody_reads(
    nats_client: Client, stream: str, log: Log, apart: Watched
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    there = [
        message
        async for batch in apart.read(stream, after=5, until=40, pace=SMALL)
        for message in batch
    ]
    here = [
        message
        async for batch in read_stream(nats_client, stream, after=5, until=40)
        for message in batch
    ]
    assert there == [replace(message, headers={}) for message in here]
    assert len(there) == 35


async def test_what_is_read_apart_and_what_comes_live_is_in_the_views(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    apart: Watched,
    tmp_path: Path,
) -> None:
    for recorded in log[:-5]:
        await append(nats_client, recorded)
    usual = haste()
    async with running(nats_client, stream, store, apart) as feed:
        assert await feed.reaches(len(log) - 5, START_S)
        await eventually(lambda: haste() == usual)
        for recorded in log[-5:]:
            await append(nats_client, recorded)
        assert await feed.reaches(len(log), 5)
        assert feed.health is None
        await eventually(lambda: apart.processes[0].returncode is not None)  # its work is done
    assert exported(store, log) == plain(log, tmp_path / "plain")


async def test_it_goes_on_where_it_was_and_not_far_behind_reads_by_itself(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    apart: Watched,
    tmp_path: Path,
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    while store.position() < len(log):
        async with running(nats_client, stream, store, apart) as feed:
            assert await feed.reaches(min(store.position() + 1, len(log)), START_S)
    assert exported(store, log) == plain(log, tmp_path / "plain")
    started = len(apart.processes)
    async with running(nats_client, stream, store, apart) as feed:
        renamed = events.UnitRenamed("company", name_was="Acme", name="Acme once more")
        await append(nats_client, log.add(renamed, organisation_id=log[0].organisation_id))
        assert await feed.reaches(len(log), 5)
    assert len(apart.processes) == started


async def test_a_gap_in_what_is_read_apart_stops_it_by_name(
    nats_client: Client, stream: str, log: Log, store: ViewStore, apart: Watched
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    await nats_client.request(f"$JS.API.STREAM.MSG.DELETE.{stream}", b'{"seq":30}')
    async with running(nats_client, stream, store, apart) as feed:
        await eventually(lambda: feed.stopped_by is not None, START_S)
        assert isinstance(feed.stopped_by, GapInLog)
        assert "position 30 is missing" in str(feed.health)
    assert store.position() == 29


async def test_poison_in_what_is_read_apart_stops_it_by_name(
    nats_client: Client, stream: str, log: Log, store: ViewStore, apart: Watched
) -> None:
    for recorded in log[:29]:
        await append(nats_client, recorded)
    await append(nats_client, log[29], codec.encode_event(log[29]).replace(b"company", b"nowhere"))
    for recorded in log[30:]:
        await append(nats_client, recorded)
    async with running(nats_client, stream, store, apart) as feed:
        await eventually(lambda: feed.stopped_by is not None, START_S)
        assert isinstance(feed.stopped_by, BrokenHistory)
        assert feed.poisoned is not None
        assert feed.poisoned.position == 30
    assert store.position() == 29


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("after_batches", [0, 1, 4])
async def test_when_it_dies_or_hangs_nothing_is_lost_and_nobody_is_told(
    nats_client: Client,
    nats_url: str,
    stream: str,
    log: Log,
    store: ViewStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    signalled: signal.Signals,
    after_batches: int,
) -> None:
    monkeypatch.setattr("services.reading_apart.SILENCE_MAX_S", 2.0)
    apart = Watched(nats_url, signalled=signalled, after_batches=after_batches)
    for recorded in log:
        await append(nats_client, recorded)
    async with running(nats_client, stream, store, apart) as feed:
        assert await feed.reaches(len(log), START_S)
        assert feed.health is None
    assert [process.returncode for process in apart.processes] == [-signal.SIGKILL]
    assert exported(store, log) == plain(log, tmp_path / "plain")


@pytest.mark.parametrize("executable", [sys.executable, "/nowhere/python"])
async def test_where_it_cannot_connect_or_begin_the_log_is_read_without_it(
    nats_client: Client,
    stream: str,
    log: Log,
    store: ViewStore,
    monkeypatch: pytest.MonkeyPatch,
    executable: str,
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    for recorded in log:
        await append(nats_client, recorded)
    async with running(nats_client, stream, store, ReadingApart("nats://127.0.0.1:1")) as feed:
        assert await feed.reaches(len(log), START_S)
        assert feed.health is None


def test_two_in_haste_leave_the_usual_behind_whichever_ends_first() -> None:
    usual = haste()
    first, other = in_haste(), in_haste()
    first.__enter__()
    other.__enter__()
    first.__exit__(None, None, None)
    other.__exit__(None, None, None)
    assert haste() == usual


def haste() -> tuple[float, bool]:
    return sys.getswitchinterval(), gc.isenabled()


def test_haste_is_over_however_it_ends() -> None:
    usual = haste()
    with contextlib.suppress(ValueError), in_haste():
        turn_s, looks_for_garbage = haste()
        assert turn_s == pytest.approx(TURN_S)
        assert not looks_for_garbage
        raise ValueError
    assert haste() == usual


def test_what_was_read_in_haste_is_never_looked_through_for_garbage() -> None:
    """It may be hundreds of thousands of objects, and the whole process would wait meanwhile."""
    with in_haste():
        read_in = [[number] for number in range(100)]
    looked_through = set(map(id, gc.get_objects()))
    gc.unfreeze()
    assert looked_through.isdisjoint(map(id, read_in))
    assert set(map(id, gc.get_objects())).issuperset(map(id, read_in))


async def test_cancelled_at_any_moment_it_leaves_no_process(
    nats_client: Client, stream: str, log: Log, store: ViewStore, apart: Watched
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    usual = haste()
    for turns in (1, 5, 20):
        async with running(nats_client, stream, store, apart):
            await eventually(lambda: bool(apart.processes))
            for _ in range(turns):
                await asyncio.sleep(0)
        assert all(process.returncode is not None for process in apart.processes)
        assert haste() == usual
    assert store.position() < len(log)


PARENT = """
import asyncio, sys
from goal_contracts.client.stream import Pace
from services.reading_apart import ReadingApart

url, stream, until = sys.argv[1:]
process = ReadingApart(url).start(stream, 0, int(until), Pace())
print(process.pid, flush=True)
process.stdout.read(1)  # it has begun to hand on
print("READS", flush=True)
process.wait()
"""


async def test_it_does_not_outlive_its_parent(
    nats_client: Client, nats_url: str, stream: str, log: Log
) -> None:
    for recorded in log:
        await append(nats_client, recorded)
    # It waits for an event that does not come, so that nothing else ends it.
    with parent_of_one(nats_url, stream, len(log) + 1) as parent:
        assert parent.stdout is not None
        child = int(await asyncio.to_thread(parent.stdout.readline))
        assert await asyncio.to_thread(parent.stdout.readline) == b"READS\n"
        assert is_there(child)
        parent.kill()
    await eventually(lambda: not is_there(child), START_S)


def parent_of_one(url: str, stream: str, until: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, url, stream, str(until)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )


def is_there(process_id: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked about does not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
