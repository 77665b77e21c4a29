"""Snapshots are written in the background, after so many events and when the ledger stops.

Whatever goes wrong is a warning: the log has everything, and the next one is tried later.
"""

import asyncio
import time
from typing import Final

import structlog

from services.ledger.store.snapshots import SnapshotStore
from services.ledger.writer import Writer

EVENTS_BETWEEN: Final = 100_000
EVENTS_AT_THE_END: Final = 1_000
LOOK_EVERY_S: Final = 1.0
MANY: Final = 1_000
"""So many events from one look to the next, and it is busy; calm after some looks at fewer."""
CALM_LOOKS: Final = 5
REST_WHILE_BUSY: Final = 4.0
"""After each step of writing, so many times as long it leaves the loop to those who ask."""
AFTER_TROUBLE_S: Final = 60.0

log = structlog.get_logger()


async def keep_snapshots(
    writer: Writer,
    snapshots: SnapshotStore,
    *,
    events_between: int = EVENTS_BETWEEN,
    look_every_s: float = LOOK_EVERY_S,
) -> None:
    """One whenever so many events have come since the last, until cancelled.

    All of the state is written each time, and whoever asks meanwhile waits for it: while many
    events come, half as many as the last one holds have to have come, too, and it is written with
    rests.
    """
    seen, calm = writer.position, 0
    while True:
        pause_s = look_every_s
        calm = calm + 1 if writer.position - seen < MANY else 0
        seen = writer.position
        at_least, rest = events_between, 0.0
        if calm < CALM_LOOKS:
            at_least, rest = max(events_between, snapshots.position // 2), REST_WHILE_BUSY
        if not await save_if_due(writer, snapshots, at_least, rest=rest):
            pause_s = max(look_every_s, AFTER_TROUBLE_S)
        await asyncio.sleep(pause_s)


async def save_if_due(
    writer: Writer,
    snapshots: SnapshotStore,
    events_between: int = EVENTS_AT_THE_END,
    *,
    rest: float = 0,
) -> bool:
    """Write one if so many events have come since the last; False if that failed.

    With a `rest` it rests so many times as long as it writes.
    """
    since = writer.position - snapshots.position
    if writer.position == 0 or since < events_between:
        return True
    begun = time.perf_counter()
    held = writer.hold()
    try:
        size = await snapshots.save(held, rest=rest)
    except Exception as error:  # noqa: BLE001 - a ledger without a snapshot only starts more slowly
        writer.metrics.snapshot_failed()
        log.warning("snapshot_failed", position=held.position, why=str(error) or repr(error))
        return False
    finally:
        held.release()
    seconds = round(time.perf_counter() - begun, 3)
    writer.metrics.snapshot_written(seconds, size)
    log.info("snapshot_written", position=held.position, events=since, bytes=size, seconds=seconds)
    return True
