"""The log becomes views: pulled in batches, projected, stored with the position they reflect.

Stops for good at a gap, at an event it cannot read or does not know, and at a history that does not
follow: what came before stays stored, and the health says why. A server or a database that is away
is waited for. Rows and position are one transaction, so each event counts exactly once. While some
rows are being stored, the next events become rows.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

import nats.errors
import structlog
from goal_contracts import codec
from goal_contracts.client.stream import (
    API_TIMEOUT_S,
    USUAL_PACE,
    BrokenLog,
    GapInLog,
    JetStreamError,
    Pace,
    StoredMessage,
    StreamUnavailable,
    stream_info,
)
from goal_contracts.codec import UndecodableEvent
from nats.aio.client import Client

from services.projections.metrics import Metrics, Poisoned
from services.projections.view_store.store import NotNext, StoreUnavailable, ViewStore
from services.projections.views.current import BrokenHistory, UnknownEvent
from services.projections.views.projector import Projector
from services.projections.views.rows import Rows
from services.reading_apart import ReadingApart, read_far

PAUSE_FIRST_S: Final = 0.05
PAUSE_MAX_S: Final = 5.0
TROUBLE_FADES_S: Final = 2 * API_TIMEOUT_S
CANCEL_AGAIN_S: Final = 0.5
AHEAD_MAX: Final = 20_000
"""Events that may be projected and wait, beside those that are being stored: the more are stored at
once, the fewer pages of the database are written again and again."""
LAID_IN_ORDER_FROM: Final = 100_000
"""So many events that were behind are worth some seconds in which questions about readings wait."""
SETTLED_EVERY: Final = 2_000
"""Events that are stored before the database puts them into their place."""

log = structlog.get_logger()

T = TypeVar("T")


class AnotherLog(BrokenLog):
    """The log no longer says what the views were built from."""


Poison = BrokenLog | UndecodableEvent | UnknownEvent | BrokenHistory
POISON: Final = (BrokenLog, UndecodableEvent, UnknownEvent, BrokenHistory)
PASSING: Final = (
    JetStreamError,
    StreamUnavailable,
    nats.errors.Error,
    TimeoutError,
    StoreUnavailable,
    NotNext,
)


class Ahead:
    """What has become rows and is not stored yet, in order."""

    def __init__(self, position: int) -> None:
        self.projected = position
        self._taken = position
        self._stored = position
        self._rows = Rows()
        self._changed = asyncio.Condition()

    async def add(self, rows: Rows, position: int) -> None:
        """The rows of the next events, up to a position."""
        async with self._changed:
            self._rows.extend(rows)
            self.projected = position
            self._changed.notify_all()

    async def take(self) -> tuple[Rows, int, int]:
        """All that waits to be stored, and its first and last position; waits for there to be."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.projected > self._taken)
            (rows, self._rows), first = (self._rows, Rows()), self._taken + 1
            self._taken = self.projected
            self._changed.notify_all()
            return rows, first, self._taken

    async def stored(self) -> None:
        """What was taken last is stored."""
        async with self._changed:
            self._stored = self._taken
            self._changed.notify_all()

    async def has_room(self, events: int) -> None:
        """Wait until no more than so many events wait to be taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.projected - self._taken <= events)

    async def reaches(self, position: int) -> None:
        """Wait until so much is stored."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._stored >= position)


class Feed:
    """Keeps the views of one stream up with its log. One runs; questions ask how far it is."""

    def __init__(
        self,
        client: Client,
        stream: str,
        store: ViewStore,
        pace: Pace = USUAL_PACE,
        metrics: Metrics | None = None,
        on_move: Callable[[], None] = lambda: None,
        apart: ReadingApart | None = None,
    ) -> None:
        """Far behind, the log is read `apart`."""
        self.position = store.position()
        self.stopped_by: Poison | None = None
        """Why the views will not go on: somebody has to look."""
        self.poisoned: Poisoned | None = None
        """The event that did it, if an event did."""
        self._trouble: str | None = None
        self._trouble_fades_at = 0.0
        self.store = store
        self._client = client
        self._stream = stream
        self._metrics = metrics or Metrics()
        self._pace = pace
        self._projector = Projector(store)
        self._moved = asyncio.Event()
        self._on_move = on_move
        self._apart = apart

    is_outdated: Final = False
    """Whether an older release's views answer: never by themselves, see succession."""

    @property
    def health(self) -> str | None:
        """What is wrong; None while the views follow the log."""
        if self.stopped_by is not None:
            return str(self.stopped_by)
        return self._trouble if time.monotonic() < self._trouble_fades_at else None

    async def run(self) -> None:
        """Follow the log until cancelled, or until there is something it must not pass over."""
        pause_s = PAUSE_FIRST_S
        with ThreadPoolExecutor(3, thread_name_prefix="views") as workers:
            while True:
                reached = self.position
                try:
                    await self._follow(workers)
                except POISON as error:
                    self._stop(error)
                    return
                except PASSING as error:
                    pause_s = PAUSE_FIRST_S if self.position > reached else pause_s
                    self._note(error, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def reaches(self, position: int, within_s: float) -> bool:
        """Whether the views reflect a position, waiting for it so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.position < position and self.stopped_by is None:
                    await self.moves()
        return self.position >= position

    def moves(self) -> Coroutine[Any, Any, object]:
        """Until it has gone on from where it is at this call, or has stopped for good."""
        return self._moved.wait()

    async def _follow(self, workers: ThreadPoolExecutor) -> None:
        self._projector.forget()
        self.position = await finished(self.store.position, workers)
        last = (await stream_info(self._client, self._stream)).state.last_seq
        if last < self.position:
            raise GapInLog(self.position, last)
        ahead = Ahead(self.position)
        all_of_it = {
            asyncio.create_task(self._project_all(workers, ahead, last), name="views projected"),
            asyncio.create_task(self._store_all(workers, ahead, last), name="views stored"),
            asyncio.create_task(self._settle_all(workers, ahead), name="views settled"),
        }
        try:
            await asyncio.wait(all_of_it, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = await end(all_of_it)
        for task in ended:
            task.result()

    async def _project_all(self, workers: ThreadPoolExecutor, ahead: Ahead, last: int) -> None:
        """Batch after batch becomes rows, so far ahead of what is stored and no further."""
        # The last event is read once more: it must still be the one the views were built from.
        reading = read_far(
            self._client,
            self._stream,
            self._apart,
            after=max(self.position - 1, 0),
            last=last,
            follow=True,
            pace=self._pace,
            on_trouble=self._note,
        )
        async with contextlib.aclosing(reading) as batches:
            async for batch in batches:
                if self._projector.remembers_much:
                    await ahead.reaches(ahead.projected)
                    self._projector.trim()
                position, poison = await finished(
                    partial(self._project, batch, ahead.projected), workers
                )
                await ahead.add(self._projector.take(), position)
                if position == self.position:
                    self._wake()  # nothing new: somebody else has brought the views here
                if poison is not None:
                    await ahead.reaches(ahead.projected)
                    raise poison
                await ahead.has_room(AHEAD_MAX)

    async def _store_all(self, workers: ThreadPoolExecutor, ahead: Ahead, last_now: int) -> None:
        """Whatever has become rows while the last were being stored is stored at once.

        A long stretch of the log is laid in order when its end, `last_now`, is there.
        """
        is_long = last_now - self.position >= LAID_IN_ORDER_FROM
        while True:
            rows, first, last = await ahead.take()
            started = time.perf_counter()
            await finished(partial(self.store.write, rows, first, last), workers)
            self.position = last
            self._wake()
            await ahead.stored()
            took_s = time.perf_counter() - started
            self._metrics.advanced(last - first + 1, took_s)
            log.info(
                "views_advanced",
                position=last,
                events=last - first + 1,
                ms=round(took_s * 1_000, 1),
            )
            if is_long and last >= last_now:
                is_long = False
                await self._lay_in_order(workers)

    async def _lay_in_order(self, workers: ThreadPoolExecutor) -> None:
        started = time.perf_counter()
        try:
            await finished(self.store.lay_in_order, workers)
        except StoreUnavailable as error:  # it is a little slower like that
            log.warning("views_not_laid_in_order", why=str(error))
        else:
            took_s = time.perf_counter() - started
            log.info("views_laid_in_order", ms=round(took_s * 1_000, 1))

    async def _settle_all(self, workers: ThreadPoolExecutor, ahead: Ahead) -> None:
        """The database puts into its place what was stored, while more is."""
        settled = self.position
        while True:
            await ahead.reaches(settled + SETTLED_EVERY)
            settled = self.position
            await finished(self.store.settle, workers)

    def _project(self, batch: Sequence[StoredMessage], before: int) -> tuple[int, Exception | None]:
        """In a worker; how far it came, and why no further."""
        position = before
        for message in batch:
            if message.position <= before:
                self._compare(message)
                continue
            try:
                recorded = codec.decode_event(message.position, message.payload)
                self._projector.add(recorded, message.payload)
            except (UndecodableEvent, UnknownEvent, BrokenHistory) as error:
                event_type = message.subject.rpartition(".")[2]
                self.poisoned = Poisoned(message.position, event_type, str(error))
                return position, error
            position = message.position
        return position, None

    def _compare(self, message: StoredMessage) -> None:
        try:
            recorded = codec.decode_event(message.position, message.payload)
            stored = self.store.payload_at(recorded.organisation_id, message.position)
        except UndecodableEvent:
            stored = None
        if message.payload != stored:
            raise AnotherLog(
                f"position {message.position} of the log is not the event the views were built "
                "from: if it is the right log, `goal-ledger rebuild` makes views of it"
            )

    def _stop(self, error: Poison) -> None:
        self.stopped_by = error
        self._wake()
        why = f"{type(error).__name__}: {error}"
        log.error(
            "feed_stopped",
            stream=self._stream,
            position=self.position,
            event_type=self.poisoned and self.poisoned.event_type,
            why=why,
        )

    def _note(self, error: Exception, pause_s: float) -> None:
        # Told anew at each failed try; when it is not, it has passed.
        self._trouble = f"{type(error).__name__}: {error}"
        self._trouble_fades_at = time.monotonic() + pause_s + TROUBLE_FADES_S
        self._metrics.waited()
        log.warning("feed_waits", position=self.position, why=self._trouble, pause_s=pause_s)

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        self._on_move()


async def end(tasks: Collection[asyncio.Task[None]]) -> list[asyncio.Task[None]]:
    """Cancels tasks until they have ended; those that had ended before.

    Once is not enough: what gets its answer at that very moment does not notice (Python 3.11).
    """
    ended = [task for task in tasks if task.done()]
    running = set(tasks) - set(ended)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
    return ended


async def finished(work: Callable[[], T], worker: ThreadPoolExecutor | None = None) -> T:
    """The result of work in a thread; cancelled, it still sees the work through."""
    future = asyncio.get_running_loop().run_in_executor(worker, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await future
        raise
