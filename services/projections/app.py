"""The projections service: one file that wires everything and reads in a minute.

FastStream is the shell: connection, question subject, start and stop. The feed pulls on its
connection, the outbox sends on it what is due. A question is a task of its own: one that waits for
a position holds up no other.
"""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import nats
import nats.errors
import structlog
from faststream import FastStream, StreamMessage
from faststream.nats import NatsBroker, NatsMessage
from goal_contracts import codec, subjects
from goal_contracts.client.flushing import flushed
from goal_contracts.client.stream import JetStreamError, stream_info
from goal_contracts.queries import QueryRefused
from msgspec import Struct
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.http.settings import HttpSettings
from services.projections import rests
from services.projections.feed import finished
from services.projections.metrics import Metrics, Status
from services.projections.outbox import Outbox
from services.projections.queries import Questions
from services.projections.rebuilding import CannotRebuild, Rebuilt
from services.projections.rebuilding import rebuild as make_anew
from services.projections.succession import NothingAnswers, Views
from services.projections.view_store.engines import NotADatabase
from services.projections.view_store.generations import Generations, Superseded
from services.projections.view_store.migrating import NewerSchema, NotAViewDatabase
from services.projections.view_store.sent import Sent
from services.projections.view_store.store import StoreUnavailable
from services.reading_apart import TURN_S, ReadingApart

QUEUE: Final = "projections"
CATCH_UP_S: Final = 5.0
DATABASE_WAIT_S: Final = 20.0
DATABASE_POLL_S: Final = 0.5
DRAIN_S: Final = 12.0
"""A little more than a question may wait for its position."""
AT_ONCE_MAX: Final = 256
"""Questions taken and not yet answered; the rest wait at the connection."""

GARBAGE_THRESHOLDS: Final = (20_000, 50, 1_000)
KEEP_AHEAD_EVERY_S: Final = 1.0
"""So often it is looked whether there is something to be made before it is asked for."""
KEEP_AHEAD_AGAIN_S: Final = 10.0
"""So long nothing is, where there is news all the time."""
CANNOT_REBUILD: Final = (
    CannotRebuild,
    NewerSchema,
    NotADatabase,
    NotAViewDatabase,
    StoreUnavailable,
    Superseded,
)
"""Why `rebuild` may end without a new generation that answers."""

log = structlog.get_logger()


class Settings(Struct, frozen=True):
    """Where the projections find the log, and where they keep the views: see view_store.engines."""

    server_url: str
    database: str
    stream: str = subjects.STREAM
    http: HttpSettings | None = None
    nkey: Path | None = None
    alerts: bool = False
    """Whether alerts go out as messages."""
    reports: Path | None = None
    """Where reports are written when they are due; None, nowhere."""


async def run(settings: Settings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Follow the log and answer questions until told to stop; `on_ready` once they are taken.

    A log that cannot be read on does not end the service: what is known is still answered.
    """
    collect_garbage_seldom()
    sys.setswitchinterval(TURN_S)  # who computes an answer for seconds lets the feed go on
    generations = await _opened(settings.database)
    broker = NatsBroker(
        settings.server_url,
        logger=None,
        apply_types=False,
        name=QUEUE,
        pending_size=0,  # an answer that cannot be sent now is asked for again
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        connect_timeout=2,
        ping_interval=10,
        max_outstanding_pings=2,
        graceful_timeout=DRAIN_S,
        nkeys_seed=_seed(settings),
    )
    try:
        service = await asyncio.to_thread(
            Projections, await broker.connect(), generations, settings
        )
        # No stream is named here: FastStream would rewrite its settings.
        subscriber = broker.subscriber(
            subjects.QUERIES, queue=QUEUE, decoder=_undecoded, no_reply=True
        )
        subscriber(service.take)
        doors = contextlib.AsyncExitStack()

        async def begin() -> None:
            if settings.http is not None:
                await doors.enter_async_context(service.door(settings.http))
            await service.start(stop=app.exit)
            await flushed(service.client)  # the server knows of the subscription
            log.info("projections_ready", position=service.views.position, subject=subjects.QUERIES)
            on_ready()

        async def end() -> None:
            # Before the connection goes: no new questions, an answer to each one taken, the end.
            if subscriber.subscription is not None:
                with contextlib.suppress(nats.errors.Error, TimeoutError):
                    await subscriber.subscription.drain()
                subscriber.subscription = None
            await doors.aclose()
            await service.stop()

        app = FastStream(broker, logger=None, after_startup=[begin], on_shutdown=[end])
        await app.run()
        service.raise_failure()
    finally:
        generations.close()


async def rebuild(
    settings: Settings, on_progress: Callable[[int], None] = lambda _more: None
) -> Rebuilt:
    """Make the views anew beside those that answer, which then give way: see rebuilding.

    The service may run meanwhile. `on_progress` hears how many events more are in.
    """
    generations = await asyncio.to_thread(Generations, settings.database)
    client = await nats.connect(
        settings.server_url,
        name="rebuild",
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        nkeys_seed=_seed(settings),
    )
    try:
        return await make_anew(
            client,
            settings.stream,
            generations,
            Metrics(),
            on_progress=on_progress,
            apart=_reading_apart(settings),
        )
    finally:
        await client.close()
        generations.close()


def _reading_apart(settings: Settings) -> ReadingApart:
    return ReadingApart(settings.server_url, settings.nkey)


def _seed(settings: Settings) -> str | None:
    """The file with what lets us in, as nats-py takes it."""
    return None if settings.nkey is None else str(settings.nkey)


class Projections:
    """The running service: views and outbox in the background, and the questions under way."""

    def __init__(self, client: Client, generations: Generations, settings: Settings) -> None:
        """Blocks: call it in a thread. Raises what opening the views raises."""
        self.client = client
        self.metrics = Metrics()
        self.views = Views(
            client, settings.stream, generations, self.metrics, apart=_reading_apart(settings)
        )
        self.metrics.show(self.status)
        self._stream = settings.stream
        self._questions = Questions(self.views, self.views)
        self._outbox: Outbox | None = None
        if settings.alerts or settings.reports is not None:
            self._outbox = Outbox(
                client,
                settings.stream,
                self.views,
                self._questions,
                Sent(generations.service),
                alerts=settings.alerts,
                reports=settings.reports,
            )
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._under_way: set[asyncio.Task[None]] = set()
        self._running: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None

    def status(self) -> Status:
        """As the service is now; questions are answered also while the log cannot be followed."""
        status = self.views.status()
        trouble = status.trouble
        if self._failure is not None:
            trouble = f"{type(self._failure).__name__}: {self._failure}"
        elif not self.client.is_connected:
            trouble = "not connected to the nats-server"
        return replace(status, trouble=trouble)

    @contextlib.asynccontextmanager
    async def door(self, settings: HttpSettings) -> AsyncIterator[None]:
        """Answer over HTTP meanwhile."""
        # Only projections that have this door need what serves it.
        from services.http.listening import listening  # noqa: PLC0415 - see above
        from services.http.tokens import judging  # noqa: PLC0415 - see above
        from services.projections.http.application import application  # noqa: PLC0415 - see above
        from services.projections.http.live import LiveEvents  # noqa: PLC0415 - see above

        live = LiveEvents(self.views, self._questions, _clock)
        async with contextlib.AsyncExitStack() as held:
            tokens = None
            if settings.tokens is not None:
                tokens = await held.enter_async_context(judging(settings.tokens))
            app = application(self._questions, live, tokens, self.metrics.text, self.status, _clock)
            await held.enter_async_context(listening(app, settings))
            held.callback(live.close)
            yield

    async def start(self, stop: Callable[[], None]) -> None:
        """Begin to follow the log and to send what is due; `stop` is called if that breaks.

        Waits a little until the views have caught up: a short log is all there from the first
        question on, a long one keeps nobody waiting.
        """

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failure = error
                stop()
                log.error("projections_stop", why=f"{type(error).__name__}: {error}")

        self._running.append(asyncio.create_task(self.views.run(), name="views"))
        if self._outbox is not None:
            sending = self._outbox.run(lambda: datetime.now(UTC))
            self._running.append(asyncio.create_task(sending, name="outbox"))
        self._running.append(asyncio.create_task(self._keep_ahead(), name="kept ahead"))
        for task in self._running:
            task.add_done_callback(ended)
        with contextlib.suppress(JetStreamError, nats.errors.Error, TimeoutError):
            last = (await stream_info(self.client, self._stream)).state.last_seq
            await self.views.reaches(last, CATCH_UP_S)

    async def _keep_ahead(self) -> None:
        """Once views have caught up, and then whenever there is news, make what others wait for."""
        kept_of, pause_s = (0, 0), KEEP_AHEAD_EVERY_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = KEEP_AHEAD_EVERY_S
            status = self.views.status()
            is_whole = status.has_caught_up and not status.is_outdated
            if is_whole and (place := (status.generation, self.views.position)) != kept_of:
                try:
                    await self._keep_all_ahead()
                except (NothingAnswers, StoreUnavailable):
                    continue  # as soon as they are there
                except Exception:
                    log.exception("cards_not_kept_ahead")  # whoever asks waits for them
                kept_of, pause_s = place, KEEP_AHEAD_AGAIN_S

    async def _keep_all_ahead(self) -> None:
        """A little at a time, and most of the time nothing: somebody may ask meanwhile."""
        cycles, more = 0, True
        while more:
            started = time.monotonic()
            more = await finished(partial(self._questions.keep_ahead, _clock()))
            cycles += more
            await asyncio.sleep(rests.TIMES * (time.monotonic() - started))
        if cycles:
            log.info("cards_kept_ahead", cycles=cycles)

    async def take(self, message: NatsMessage) -> None:
        """Begin to answer a question; waits while too many are under way."""
        await self._room.acquire()
        task = asyncio.create_task(self._answer(message.raw_message))
        self._under_way.add(task)
        task.add_done_callback(self._finished)

    async def stop(self) -> None:
        """Answer what was taken, for a bounded time, then let go of the log."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=DRAIN_S)
        tasks = [*self._under_way, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._questions.close()
        log.info("projections_stopped", position=self.views.position)

    def raise_failure(self) -> None:
        """What broke the service, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.release()

    async def _answer(self, message: Msg) -> None:
        try:
            answer = await self._questions.answer(message.subject, message.data, _clock())
        except Exception:
            log.exception("question_failed", subject=message.subject)
            answer = _failed("the question could not be answered; the service's log says why")
        try:
            await self._reply(message, answer)
        except nats.errors.MaxPayloadError:
            await self._reply(message, _failed("a single row is larger than a message may be"))

    async def _reply(self, message: Msg, answer: bytes) -> None:
        if not subjects.is_for_replies(message.reply):
            return
        try:
            await self.client.publish(message.reply, answer)
        except nats.errors.MaxPayloadError:
            raise
        except nats.errors.Error as error:
            log.warning("reply_lost", subject=message.subject, why=str(error))


async def _opened(database: str) -> Generations:
    """What the views are kept in; a database that is away is waited for, but not for ever."""
    give_up_at = time.monotonic() + DATABASE_WAIT_S
    while True:
        try:
            return await asyncio.to_thread(Generations, database)
        except StoreUnavailable as error:
            if time.monotonic() > give_up_at:
                raise
            log.warning("database_away", why=str(error))
            await asyncio.sleep(DATABASE_POLL_S)


def collect_garbage_seldom() -> None:
    """What is read in stays for a while, as rows and in memory.

    To look through it for garbage again and again was a third of what projecting an event cost.
    """
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _clock() -> datetime:
    return datetime.now(UTC)


async def _undecoded(message: StreamMessage[Msg]) -> StreamMessage[Msg]:
    """The message as it came: it is decoded by its query, once."""
    return message


def _failed(why: str) -> bytes:
    return codec.encode(QueryRefused("unreadable_log", why))
