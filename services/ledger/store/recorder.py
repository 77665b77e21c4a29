"""The log behind eventsourcing's recorder interface.

`AsyncJetStreamRecorder` does the work on an event loop; `JetStreamRecorder` is the same for
threads. The ledger's writer holds exact state and appends to `GoalLog` itself; through this door
come others who speak eventsourcing, with optimistic concurrency per originator: an originator's
version exists once. The log knows one expectation only, its last position, so an index of the
versions is kept in memory and caught up from the log.
"""

import asyncio
import contextlib
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Coroutine,
    Iterator,
    Sequence,
)
from concurrent.futures import CancelledError, Future
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Subscription,
)

from services.ledger.store import log
from services.ledger.store.log import AppendFailed, Conflict, GoalLog, OutcomeUnknown
from services.ledger.store.mapper import notification, outgoing

CONFLICT_RETRIES_MAX: Final = 50
SELECT_AT_ONCE_MAX: Final = 500
CLOSE_TIMEOUT_S: Final = 5.0

LOG_FAULTS: Final[tuple[type[Exception], ...]] = (AppendFailed, *GoalLog.PASSING_FAULTS)

Result = TypeVar("Result")


class AsyncJetStreamRecorder:
    """Stored events by originator and by position, for one event loop."""

    def __init__(self, goal_log: GoalLog) -> None:
        self._log = goal_log
        self._versions: dict[str, dict[int, int]] = {}
        """By originator and version: the position."""
        self._position = 0
        self._lock = asyncio.Lock()

    async def insert_events(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        """Stores all or none; their positions. IntegrityError if a version exists already."""
        if not stored_events:
            return []
        if len(stored_events) > log.BATCH_EVENTS_MAX:
            raise ProgrammingError(f"{len(stored_events)} events; at most {log.BATCH_EVENTS_MAX}")
        async with self._lock, _translated():
            for _ in range(CONFLICT_RETRIES_MAX):
                self._require_new(stored_events)
                with contextlib.suppress(Conflict):
                    return await self._append(stored_events)
                await self._catch_up()
        raise OperationalError(f"{CONFLICT_RETRIES_MAX} times another writer was faster")

    async def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """An originator's events, by version."""
        async with _translated():
            async with self._lock:
                await self._catch_up()
                positions = self._versions.get(str(originator_id), {})
            versions = [
                version
                for version in sorted(positions, reverse=desc)
                if (gt is None or version > gt) and (lte is None or version <= lte)
            ]
            messages = await self._log.get([positions[version] for version in versions[:limit]])
        return [_stored_event(notification(message)) for message in messages]

    async def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """Events by position, `stop` included."""
        first = max(1, (start or 0) + (0 if inclusive_of_start else 1))
        async with _translated():
            last = await self._log.last_position()
            last = last if stop is None else min(last, stop)
            selected: list[Notification] = []
            while first <= last and len(selected) < limit:
                # Without topics the rest of `limit` is exactly what is needed.
                wanted = SELECT_AT_ONCE_MAX if topics else limit - len(selected)
                until = min(last, first + min(wanted, SELECT_AT_ONCE_MAX) - 1)
                messages = await self._log.get(range(first, until + 1))
                selected += _of_topics(map(notification, messages), topics)
                first = until + 1
        return selected[:limit]

    async def max_notification_id(self) -> int | None:
        """The last position; None while there is none."""
        async with _translated():
            return await self._log.last_position() or None

    async def follow(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> AsyncGenerator[list[Notification], None]:
        """All events after a position, in batches, and then the new ones as they come."""
        news = self._log.read(after=gt or 0, follow=True)
        async with _translated(), contextlib.aclosing(news) as batches:
            async for batch in batches:
                if some := _of_topics(map(notification, batch), topics):
                    yield some

    async def _append(self, stored_events: Sequence[StoredEvent]) -> list[int]:
        events = [outgoing(stored_event) for stored_event in stored_events]
        expected_last = self._position
        try:
            last = await self._log.append(events, expected_last)
        except OutcomeUnknown:
            last = await self._log.settle(events, expected_last)
        positions = list(range(expected_last + 1, last + 1))
        for stored_event, position in zip(stored_events, positions, strict=True):
            self._note(str(stored_event.originator_id), stored_event.originator_version, position)
        return positions

    async def _catch_up(self) -> None:
        last = await self._log.last_position()
        async with contextlib.aclosing(self._log.read(self._position, last)) as batches:
            async for batch in batches:
                for event in map(notification, batch):
                    self._note(str(event.originator_id), event.originator_version, event.id)

    def _note(self, originator_id: str, version: int, position: int) -> None:
        self._versions.setdefault(originator_id, {})[version] = position
        self._position = position

    def _require_new(self, stored_events: Sequence[StoredEvent]) -> None:
        seen: set[tuple[str, int]] = set()
        for stored_event in stored_events:
            key = (str(stored_event.originator_id), stored_event.originator_version)
            if key in seen or key[1] in self._versions.get(key[0], {}):
                raise IntegrityError(f"version {key[1]} of {key[0]} exists already")
            seen.add(key)


class JetStreamAggregateRecorder(AggregateRecorder):
    """The recorder for threads: each call runs on the event loop that owns the connection."""

    def __init__(self, recorder: AsyncJetStreamRecorder, loop: asyncio.AbstractEventLoop) -> None:
        self._recorder = recorder
        self._loop = loop

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,  # noqa: ANN401, ARG002 - as eventsourcing declares it
    ) -> Sequence[int] | None:
        self._on_loop(self._recorder.insert_events(stored_events))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self._on_loop(
            self._recorder.select_events(originator_id, gt=gt, lte=lte, desc=desc, limit=limit)
        )

    def _on_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        return _submitted(work, self._loop).result()


class JetStreamRecorder(JetStreamAggregateRecorder, ApplicationRecorder):
    """Aggregate and application sequences: the originators' versions and the log's positions."""

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        **kwargs: Any,  # noqa: ANN401, ARG002 - as eventsourcing declares it
    ) -> Sequence[int] | None:
        return self._on_loop(self._recorder.insert_events(stored_events))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        return self._on_loop(
            self._recorder.select_notifications(
                start, limit, stop, topics, inclusive_of_start=inclusive_of_start
            )
        )

    def max_notification_id(self) -> int | None:
        return self._on_loop(self._recorder.max_notification_id())

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> "JetStreamSubscription":
        return JetStreamSubscription(
            self, self._recorder.follow(gt, topics), self._loop, gt=gt, topics=topics
        )


class JetStreamSubscription(Subscription[ApplicationRecorder]):
    """Events as they come, for one thread; another may stop it."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        batches: AsyncGenerator[list[Notification], None],
        loop: asyncio.AbstractEventLoop,
        *,
        gt: int | None,
        topics: Sequence[str],
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._batches = batches
        self._loop = loop
        self._lock = threading.Lock()
        self._next: Future[list[Notification]] | None = None
        self._waiting: Iterator[Notification] = iter(())

    def __next__(self) -> Notification:
        while True:
            with self._lock:
                if self._has_been_stopped:
                    raise StopIteration
                if (event := next(self._waiting, None)) is not None:
                    return event
                self._next = _submitted(anext(self._batches), self._loop)
            try:
                self._waiting = iter(self._next.result())
            except CancelledError:
                raise StopIteration from None

    def stop(self) -> None:
        with self._lock:
            if self._has_been_stopped:
                return
            super().stop()
            if self._next is not None:
                self._next.cancel()
        _submitted(self._batches.aclose(), self._loop)


class EventLoopThread:
    """An event loop in a thread of its own, for recorders of programs that have none."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="jetstream-recorder")

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return _submitted(work, self.loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(_end_other_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextlib.asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """The log's own errors, as eventsourcing calls them."""
    try:
        yield
    except LOG_FAULTS as error:
        raise OperationalError(str(error)) from error


def _submitted(
    work: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop
) -> Future[Result]:
    with contextlib.suppress(RuntimeError):
        if asyncio.get_running_loop() is loop:
            work.close()
            raise ProgrammingError("called from the event loop that has to do the work")
    return asyncio.run_coroutine_threadsafe(work, loop)


async def _end_other_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), CLOSE_TIMEOUT_S)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _of_topics(events: Iterator[Notification], topics: Sequence[str]) -> list[Notification]:
    return [event for event in events if not topics or event.topic in topics]


def _stored_event(event: Notification) -> StoredEvent:
    return StoredEvent(
        originator_id=event.originator_id,
        originator_version=event.originator_version,
        topic=event.topic,
        state=event.state,
    )
