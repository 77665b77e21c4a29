"""How long a big ledger takes to be ready: python tests/benchmarks/bench_snapshot.py [EVENTS].

On a server of its own: the whole log, a snapshot written while the loop goes on, and a start with
it. EVENTS is how many the log has, 1,000,000 unless given, the goals among them.
"""

import asyncio
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

import nats
from goal_contracts import codec, subjects
from nats.aio.client import Client

from services.embedded.nats_server import NatsServer
from services.ledger.handlers import new_event_ids
from services.ledger.snapshotting import save_if_due
from services.ledger.store.log import BATCH_EVENTS_MAX, GoalLog, Outgoing
from services.ledger.store.snapshots import SnapshotStore
from services.ledger.store.streams import StreamSettings, ensure_stream
from services.ledger.writer import Writer
from tests.benchmarks.big_ledger import Size, payloads

STREAM = "GOALS"
USUAL_EVENTS = 1_000_000


async def fill(log: GoalLog, count: int) -> None:
    size, last, batch = Size(), 0, list[Outgoing]()
    for position, payload in islice(payloads(size, count), count):
        recorded = codec.decode_event(position, payload)
        subject = subjects.ledger(
            recorded.organisation_id, recorded.kind, recorded.goal_id, recorded.type
        )
        batch.append(Outgoing(subject, payload, 1))
        if len(batch) == BATCH_EVENTS_MAX or position == count:
            last = await log.append(batch, last)
            batch = []


@contextlib.asynccontextmanager
async def pauses() -> AsyncIterator[list[float]]:
    """How long each turn of the event loop took others, in seconds."""
    found: list[float] = []

    async def watch() -> None:
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(0)
            found.append(time.perf_counter() - begin)

    task = asyncio.create_task(watch())
    try:
        yield found
    finally:
        task.cancel()


async def measure(client: Client, count: int) -> None:
    log = GoalLog(client, STREAM)
    await ensure_stream(client, StreamSettings(name=STREAM, unsafe_sync_allowed=True))
    await fill(log, count)

    begin = time.perf_counter()
    async with contextlib.aclosing(log.read()) as batches:
        async for _ in batches:
            pass
    bare = time.perf_counter() - begin
    print(f"reading alone: {bare:.2f} s, {count / bare:,.0f} events/s")

    snapshots = SnapshotStore(client, STREAM)
    writer = Writer(log, new_event_ids, snapshots)
    begin = time.perf_counter()
    await writer.load()
    whole = time.perf_counter() - begin
    print(f"ready from the whole log: {whole:.2f} s, {count / whole:,.0f} events/s")
    gc.freeze()

    begin = time.perf_counter()
    writer.hold().release()
    print(f"to hold it: {(time.perf_counter() - begin) * 1_000:.1f} ms")
    async with pauses() as idle:
        await asyncio.sleep(1)
    async with pauses() as found:
        begin = time.perf_counter()
        await save_if_due(writer, snapshots, 1)
        saving = time.perf_counter() - begin
    longest = " ".join(f"{each * 1_000:.1f}" for each in sorted(found)[:-6:-1])
    print(f"snapshot written in {saving:.2f} s; longest pauses of the loop {longest} ms")
    print(f"(while nothing is written {max(idle) * 1_000:.1f} ms)")

    for _ in range(3):
        again = Writer(log, new_event_ids, SnapshotStore(client, STREAM))
        begin = time.perf_counter()
        await again.load()
        print(f"ready from the snapshot: {time.perf_counter() - begin:.2f} s")
        assert again.position == count
        del again
        gc.collect()


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else USUAL_EVENTS
    with tempfile.TemporaryDirectory() as directory, NatsServer(Path(directory)) as server:
        client = await nats.connect(server.url)
        try:
            await measure(client, count)
        finally:
            await client.close()


if __name__ == "__main__":
    asyncio.run(main())
