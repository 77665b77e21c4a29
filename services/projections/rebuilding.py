"""A new generation of the views is made from the log beside the one that answers, and takes over.

It may be stopped or killed at any moment: the next time it goes on where it was. Several may be at
it at once, in this process or others: each batch is stored once, whoever comes first.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import nats.errors
import structlog
from goal_contracts.client.stream import USUAL_PACE, JetStreamError, Pace, stream_info
from msgspec import Struct
from nats.aio.client import Client

from services.projections.feed import AnotherLog, Feed, end, finished
from services.projections.metrics import Metrics, Poisoned
from services.projections.view_store.comparing import Difference, differences
from services.projections.view_store.generations import Generation, Generations
from services.projections.view_store.migrating import NewerSchema, NotAViewDatabase
from services.projections.view_store.store import ViewStore
from services.reading_apart import ReadingApart

ASK_AGAIN_S: Final = 1.0
BEGINNINGS_MAX: Final = 3

log = structlog.get_logger()


class Rebuilt(Struct, frozen=True):
    """What took over; `compared_at` is None where the one before had no reason to be equal."""

    generation: int
    position: int
    compared_at: int | None
    differences: tuple[Difference, ...]


class CannotRebuild(Exception):
    """The new generation stopped before it reflected what the old one does; the old one stays."""

    def __init__(self, why: str, poisoned: Poisoned | None = None) -> None:
        super().__init__(why)
        self.poisoned = poisoned


async def rebuild(
    client: Client,
    stream: str,
    generations: Generations,
    metrics: Metrics,
    *,
    on_progress: Callable[[int], None] = lambda _more: None,
    pace: Pace = USUAL_PACE,
    apart: ReadingApart | None = None,
) -> Rebuilt:
    """Take over when the end of the log is reached; the nats-server is waited for.

    `on_progress` hears how many events more are in. Raises CannotRebuild, Superseded if another
    release began one of its own meanwhile, and StoreUnavailable.
    """
    for _ in range(BEGINNINGS_MAX):
        last = await _end_of(client, stream)
        coming = await finished(partial(generations.begin, stream))
        store = await finished(partial(generations.open, coming))
        feed = await finished(partial(Feed, client, stream, store, pace, metrics, apart=apart))
        following = asyncio.create_task(feed.run(), name="rebuilding")
        try:
            while feed.position < last and feed.stopped_by is None:
                before = feed.position
                await moves(feed, following)
                on_progress(feed.position - before)
            if last >= feed.position and not isinstance(feed.stopped_by, AnotherLog):
                return await _take_over(client, stream, generations, coming, feed, following)
        finally:
            await end([following])
            await finished(store.close)
        # What was there of it had been made from another log.
        await finished(partial(generations.drop, coming.number))
    raise CannotRebuild("the log changed again and again while it was read")


async def _take_over(
    client: Client,
    stream: str,
    generations: Generations,
    coming: Generation,
    feed: Feed,
    following: asyncio.Task[None],
) -> Rebuilt:
    found: Sequence[Difference] = ()
    compared_at = None
    old = await finished(generations.current)
    before = None if old is None else await finished(partial(_open, generations, old))
    try:
        if old is not None and before is not None:
            reached = await finished(before.position)
            if reached > await _end_of(client, stream):
                log.warning("views_of_another_log", generation=old.number, position=reached)
            else:
                await _catch_up(feed, following, reached)
                if (old.stream, old.fold) == (coming.stream, coming.fold):
                    compared_at = reached
                    found = await finished(
                        partial(differences, before.engine, feed.store.engine, reached)
                    )
                # It went on meanwhile, and nobody may be told of less than before.
                await _catch_up(feed, following, await finished(before.position))
    finally:
        if before is not None:
            await finished(before.close)
    for difference in found:
        log.warning("views_differ", generation=coming.number, said=str(difference))
    await finished(partial(generations.take_over, coming))
    return Rebuilt(coming.number, feed.position, compared_at, tuple(found))


def _open(generations: Generations, old: Generation) -> ViewStore | None:
    try:
        return generations.open(old)
    except (NotAViewDatabase, NewerSchema) as error:
        log.warning("views_unreadable", generation=old.number, why=str(error))
        return None


async def _catch_up(feed: Feed, following: asyncio.Task[None], position: int) -> None:
    while feed.position < position:
        if feed.stopped_by is not None:
            raise CannotRebuild(str(feed.stopped_by), feed.poisoned)
        await moves(feed, following)


async def moves(feed: Feed, following: asyncio.Task[None]) -> None:
    """Until it has gone on or stopped; raises what broke it."""
    moved = asyncio.create_task(feed.moves())
    await asyncio.wait({moved, following}, return_when=asyncio.FIRST_COMPLETED)
    moved.cancel()
    if following.done():
        following.result()


async def _end_of(client: Client, stream: str) -> int:
    """The log's last position, as soon as the server tells."""
    while True:
        with contextlib.suppress(JetStreamError, nats.errors.Error, TimeoutError):
            return (await stream_info(client, stream)).state.last_seq
        await asyncio.sleep(ASK_AGAIN_S)
