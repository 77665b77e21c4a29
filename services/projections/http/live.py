"""Events as they are stored, one after the other, for whoever listens (server-sent events).

They are read from the views up to the position that is committed there, never from the server's
volatile tail: so there is no gap and nothing comes twice, and nothing is held for a listener who is
slow. One that does not take what is sent for a while is let go; it comes again and goes on behind
the id it saw last. A heartbeat carries the position too, so that one who filters need not read
anew what was nothing to it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec
import structlog
from goal_contracts.fields import Id, Kind
from goal_contracts.queries import ReplayedEvent
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from services.http.problems import NoAnswer
from services.http.tokens import Bearer
from services.projections.answering import EventsAfter
from services.projections.cannot_answer import CannotAnswer
from services.projections.feed import Feed
from services.projections.http.refusals import no_answer
from services.projections.queries import Questions
from services.projections.succession import Views

STREAMS_MAX: Final = 128
BATCH_EVENTS: Final = 200
HEARTBEAT_S: Final = 15.0
TAKEN_WITHIN_S: Final = 20.0
"""A listener that takes nothing for so long is let go."""
POSITION_DIGITS_MAX: Final = 18

log = structlog.get_logger()


class Listening(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody listens to: everything, or only what is of a kind, a unit or a cycle."""

    kind: Kind | None = None
    unit: Id | None = None
    cycle: Id | None = None


class _Envelope(Struct):
    type: str


HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
)
_envelope: Final = msgspec.json.Decoder(_Envelope)


class LiveEvents:
    """The listeners of one service; close it before the service ends."""

    def __init__(
        self, feed: Feed | Views, questions: Questions, clock: Callable[[], datetime]
    ) -> None:
        self._feed = feed
        self._questions = questions
        self._clock = clock
        self._open = 0
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let all listeners go."""
        self._closed.set()

    async def listen(
        self, bearer: Bearer, organisation_id: str, listening: Listening, last_event_id: str | None
    ) -> ASGIApp:
        """What sends the events behind an id, or those to come; NoAnswer if there is none."""
        after = self._feed.position if last_event_id is None else _position(last_event_id)
        if after > self._feed.position:
            raise NoAnswer("not_yet", f"the views have read the log up to {self._feed.position}")
        if self._open >= STREAMS_MAX:
            raise NoAnswer("overloaded", f"{self._open} listen already")
        look = partial(self._look, organisation_id, listening)
        first = await look(after)  # a listener who cannot be served is told so

        async def stream(_scope: Scope, receive: Receive, send: Send) -> None:
            self._open += 1
            gone = asyncio.create_task(self._gone(receive))
            try:
                await self._send_all(first, look, bearer.ends_at, gone, send)
            except TimeoutError:
                # What is still on its way to it is not waited for.
                log.info("slow_listener_let_go", organisation=organisation_id)
            finally:
                self._open -= 1
                await _ended(gone)

        return stream

    async def _send_all(
        self,
        events: EventsAfter,
        look: Callable[[int], Awaitable[EventsAfter]],
        ends_at: float,
        gone: "asyncio.Task[None]",
        send: Send,
    ) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        while not gone.done() and self._clock().timestamp() < ends_at:
            text = b"".join(map(_told, events.events)) or b"id: %d\n\n" % events.reached
            async with asyncio.timeout(TAKEN_WITHIN_S):
                await send({"type": "http.response.body", "body": text, "more_body": True})
            if not events.events:
                await self._wait(events.reached, gone)
            events = await look(events.reached)
        async with asyncio.timeout(TAKEN_WITHIN_S):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _look(self, organisation_id: str, listening: Listening, after: int) -> EventsAfter:
        """What came after a position, up to where it was looked at."""
        try:
            return await self._questions.events_after(
                organisation_id,
                after,
                kind=listening.kind,
                unit_id=listening.unit,
                cycle_id=listening.cycle,
                limit=BATCH_EVENTS,
            )
        except CannotAnswer as error:
            raise no_answer(error) from error

    async def _wait(self, after: int, gone: "asyncio.Task[None]") -> None:
        """Until the views have gone on, or a heartbeat is due, or nobody listens any more."""
        moved = asyncio.create_task(self._feed.reaches(after + 1, HEARTBEAT_S))
        try:
            await asyncio.wait([moved, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _ended(moved)
        if self._feed.stopped_by is not None:  # it will not move any more
            await asyncio.wait([gone], timeout=HEARTBEAT_S)

    async def _gone(self, receive: Receive) -> None:
        """Until the listener has closed its end, or we close ours."""
        closed = asyncio.create_task(self._closed.wait())
        try:
            while not closed.done():
                received = asyncio.ensure_future(receive())
                await asyncio.wait([received, closed], return_when=asyncio.FIRST_COMPLETED)
                if not received.done():
                    await _ended(received)
                elif received.result()["type"] == "http.disconnect":
                    return
        finally:
            await _ended(closed)


def _told(event: ReplayedEvent) -> bytes:
    name = _envelope.decode(event.event).type
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.position, name.encode(), bytes(event.event))


def _position(last_event_id: str) -> int:
    """The position that a listener has seen; NoAnswer if it is none."""
    digits = last_event_id
    if not (digits.isascii() and digits.isdigit() and len(digits) <= POSITION_DIGITS_MAX):
        raise NoAnswer("malformed", "Last-Event-ID is the position of an event")
    return int(digits)


async def _ended(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
