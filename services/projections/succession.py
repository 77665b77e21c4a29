"""The views that answer, followed up with the log, until a newer generation takes their place.

What takes over is decided in the database (rebuilding), by this process or another; here it is
noticed, brought up to what has been answered from already, and swapped in between two questions.
An older release's views are not gone on with: they answer as they are while new ones are built.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

import nats.errors
import structlog
from goal_contracts.client.stream import USUAL_PACE, JetStreamError, Pace, stream_info
from nats.aio.client import Client
from sqlalchemy import Connection

from services.projections.feed import Feed, Poison, end, finished
from services.projections.metrics import Metrics, Status
from services.projections.rebuilding import CannotRebuild, moves, rebuild
from services.projections.view_store import fold
from services.projections.view_store.generations import Generation, Generations, Superseded
from services.projections.view_store.migrating import NewerSchema, NotAViewDatabase
from services.projections.view_store.store import StoreUnavailable, ViewStore
from services.reading_apart import ReadingApart

LOOK_EVERY_S: Final = 1.0
GRACE_S: Final = 15.0
"""So long an old generation stays: a question may be reading it, or a process not yet have seen."""

log = structlog.get_logger()


class NothingAnswers(Exception):
    """The views of an older release cannot be read by this one, and new ones are not there yet."""


class Views:
    """What questions ask of: `position`, `connect` and the rest are of what answers just now."""

    def __init__(
        self,
        client: Client,
        stream: str,
        generations: Generations,
        metrics: Metrics | None = None,
        pace: Pace = USUAL_PACE,
        apart: ReadingApart | None = None,
    ) -> None:
        """Blocks: call it in a thread. Raises what opening the current generation raises."""
        self._client = client
        self._stream = stream
        self._generations = generations
        self._metrics = metrics or Metrics()
        self._pace = pace
        self._apart = apart
        self._moved = asyncio.Event()
        self._log_position = 0
        self._has_caught_up = False
        self._cannot_rebuild: CannotRebuild | None = None
        self._retired: list[ViewStore] = []
        self._tidy_at = time.monotonic() + GRACE_S
        self._generation = _first(generations, stream)
        self.is_outdated = self._generation.fold != fold.fingerprint()
        self._feed = self._opened(self._generation)

    def _opened(self, generation: Generation) -> Feed | None:
        try:
            return self._feed_of(self._generations.open(generation))
        except (NotAViewDatabase, NewerSchema, StoreUnavailable) as error:
            if not self.is_outdated:
                raise
            log.warning("views_unreadable", generation=generation.number, why=str(error))
            return None

    def _feed_of(self, store: ViewStore) -> Feed:
        return Feed(
            self._client, self._stream, store, self._pace, self._metrics, self._wake, self._apart
        )

    # ------------------------------------------------------------------ what questions ask

    @property
    def position(self) -> int:
        """How far into the log the views that answer reflect it."""
        return 0 if self._feed is None else self._feed.position

    @property
    def stopped_by(self) -> Poison | CannotRebuild | None:
        """Why they will not go on: somebody has to look."""
        return self._cannot_rebuild or (None if self._feed is None else self._feed.stopped_by)

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """To the views that answer; NothingAnswers if there are none."""
        feed = self._feed  # another may take its place meanwhile
        if feed is None:
            raise NothingAnswers("the views are being built anew")
        with feed.store.engine.connect() as connection:
            yield connection

    async def reaches(self, position: int, within_s: float) -> bool:
        """Whether the views reflect a position, waiting for it so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.position < position and self.stopped_by is None:
                    await self._moved.wait()
        return self.position >= position

    # ------------------------------------------------------------------ how they are

    def status(self) -> Status:
        """As they are now; `log_position` is as old as the last look."""
        trouble = str(self._cannot_rebuild) if self._cannot_rebuild else None
        poisoned = self._cannot_rebuild.poisoned if self._cannot_rebuild else None
        if self._feed is not None and not self.is_outdated:
            trouble, poisoned = self._feed.health, self._feed.poisoned
        return Status(
            position=self.position,
            log_position=max(self._log_position, self.position),
            generation=0 if self._feed is None else self._generation.number,
            is_outdated=self.is_outdated,
            has_caught_up=self._has_caught_up,
            trouble=trouble,
            stopped_by=poisoned,
        )

    # ------------------------------------------------------------------ following and succeeding

    async def run(self) -> None:
        """Follow the log, and give way to newer generations, until cancelled."""
        following = asyncio.create_task(self._follow(), name="feed")
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                if following.done():
                    following.result()
                await self._look_at_the_log()
                with contextlib.suppress(StoreUnavailable):
                    newest = await finished(self._generations.current)
                    if newest is not None and self._gives_way_to(newest):
                        following = await self._succeed(newest, following)
                    await self._tidy()
        finally:
            await end([following])
            await finished(self._close)

    async def _follow(self) -> None:
        if self._feed is not None and not self.is_outdated:
            await self._feed.run()
            return
        log.warning("views_outdated", generation=self._generation.number, position=self.position)
        while True:
            try:
                await rebuild(
                    self._client,
                    self._stream,
                    self._generations,
                    self._metrics,
                    pace=self._pace,
                    apart=self._apart,
                )
            except StoreUnavailable as error:
                log.warning("rebuilding_waits", why=str(error))
                await asyncio.sleep(LOOK_EVERY_S)
            except CannotRebuild as error:
                self._cannot_rebuild = error
                log.error("rebuilding_stopped", why=str(error))  # noqa: TRY400 - it says all
                self._wake()
                return
            except Superseded as error:  # another release is at work: its views take over
                log.warning("rebuilding_superseded", why=str(error))
                return
            else:
                return

    async def _look_at_the_log(self) -> None:
        with contextlib.suppress(JetStreamError, nats.errors.Error, TimeoutError):
            self._log_position = (await stream_info(self._client, self._stream)).state.last_seq
            if self.position >= self._log_position:
                self._has_caught_up = True

    def _gives_way_to(self, newest: Generation) -> bool:
        # Another release's would be answered from, never gone on with: its own process does both.
        return (
            newest.number > self._generation.number
            and newest.stream == self._stream
            and newest.fold == fold.fingerprint()
        )

    async def _succeed(
        self, newest: Generation, following: asyncio.Task[None]
    ) -> asyncio.Task[None]:
        """Swap it in, once it reflects all that was answered from; the task that follows it."""
        store = await finished(partial(self._generations.open, newest))
        feed = await finished(partial(self._feed_of, store))
        coming = asyncio.create_task(feed.run(), name="feed")
        try:
            await self._caught_up(feed, coming)
            await end([following])
            await self._caught_up(feed, coming)
        except BaseException:
            await end([coming])
            store.close()
            raise
        if self._feed is not None:
            self._retired.append(self._feed.store)
        self._feed, self._generation = feed, newest
        self.is_outdated, self._cannot_rebuild = False, None
        self._tidy_at = time.monotonic() + GRACE_S
        self._metrics.taken_over()
        log.info("views_succeeded", generation=newest.number, position=feed.position)
        self._wake()
        return coming

    async def _caught_up(self, feed: Feed, coming: asyncio.Task[None]) -> None:
        """As far as what answers, unless that goes no further itself or is of another log."""
        while feed.position < self.position and not (feed.stopped_by or self.stopped_by):
            await moves(feed, coming)

    async def _tidy(self) -> None:
        if time.monotonic() < self._tidy_at:
            return
        self._close_retired()
        await finished(self._generations.drop_older)
        self._tidy_at = math.inf

    def _close_retired(self) -> None:
        while self._retired:
            self._retired.pop().close()

    def _close(self) -> None:
        self._close_retired()
        if self._feed is not None:
            self._feed.store.close()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


def _first(generations: Generations, stream: str) -> Generation:
    """What answers; where there is nothing, or something of another stream, a new one does."""
    current = generations.current()
    if current is not None and current.stream == stream:
        return current
    if current is not None:
        log.warning("views_of_another_stream", generation=current.number, stream=current.stream)
    begun = generations.begin(stream)
    generations.take_over(begun)
    return begun
