"""The questions one may ask, each answered up to a position, as the contracts say.

They wait for a position if they are asked to, and are answered in threads. Long answers are cut by
number and, where that is not enough, by bytes.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

import msgspec
import structlog
from goal_contracts import codec, subjects
from goal_contracts.queries import (
    QUERIES,
    Alerts,
    Answer,
    AsOf,
    Blame,
    CycleReport,
    Diff,
    History,
    Insights,
    Position,
    Query,
    QueryRefused,
    Readings,
    Replay,
    RollUps,
    ViewPage,
    ViewPosition,
    WeeklyDigest,
)
from msgspec import Struct

from services.projections.answering import Asked, EventsAfter
from services.projections.cannot_answer import CannotAnswer
from services.projections.feed import Feed
from services.projections.rests import rests
from services.projections.succession import Views
from services.projections.view_store.reader import Connecting, Memory, reading
from services.projections.view_store.store import StoreUnavailable

AT_LEAST_WAIT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 900_000
"""A little less than what a server takes in one message."""
AT_ONCE_MAX: Final = 4
"""Questions worked on at the same time; more of them wait their turn."""
WAITING_MAX: Final = 128
"""So many questions may wait for a position at once: half of what the service takes, so that those
which wait for nothing find room."""
NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
"""For what does not depend on the clock."""
WHOLE: Final = 2**31
"""A page that holds everything."""
OUTDATED: Final = "an older release's views cannot say; new ones are being built: ask again"

log = structlog.get_logger()

A = TypeVar("A", bound=Answer)
T = TypeVar("T")
_decoders: Final[dict[str, msgspec.json.Decoder[Query]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in QUERIES.items()
}


class Answered(Struct, frozen=True):
    """An answer as it is sent, the position it reflects, and where the rest of it begins.

    A final one is about a past that is over for good: asked again, it has the same bytes. Of any
    other, `told_at` is the moment that it names and that goes on; None, it names none.
    """

    body: bytes
    position: int
    cursor: str | None
    is_final: bool
    told_at: datetime | None = None


class Questions:
    """Answers questions from the views, in threads of its own."""

    def __init__(self, feed: Feed | Views, engine: Connecting) -> None:
        self._feed = feed
        self.engine = engine
        self._workers = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="questions")
        self._waiting = 0
        self._memory = Memory()
        self._is_closing = threading.Event()

    def close(self) -> None:
        """After the last question was answered; whoever rests does so no longer."""
        self._is_closing.set()
        self._workers.shutdown()

    async def answer(self, subject: str, payload: bytes, now: datetime) -> bytes:
        """The answer's bytes, a refusal's too: whoever asks hears something in any case."""
        try:
            organisation_id, query = _read(subject, payload)
            return (await self.ask(organisation_id, query, now)).body
        except CannotAnswer as error:
            return codec.encode(QueryRefused(error.why, str(error)))

    async def ask(self, organisation_id: str, query: Query, now: datetime) -> Answered:
        """The answer to a question that was read already, or CannotAnswer."""
        started = time.perf_counter()
        refused, answered = None, None
        try:
            await self._wait_for(query)
            answered = await self._work(partial(self._answer, organisation_id, query, now))
        except CannotAnswer as error:
            refused = error.why
            raise
        finally:
            log.info(
                "asked",
                organisation=organisation_id,
                question=type(query).__name__,
                refused=refused,
                bytes=0 if answered is None else len(answered.body),
                ms=round((time.perf_counter() - started) * 1_000, 1),
            )
        return answered

    async def events_after(
        self,
        organisation_id: str,
        after: int,
        *,
        kind: str | None,
        unit_id: str | None,
        cycle_id: str | None,
        limit: int,
    ) -> EventsAfter:
        """What is stored behind a position of a kind, of a unit and those below it, of a cycle."""

        def look() -> EventsAfter:
            position = self._feed.position
            with reading(self.engine, self._memory, position) as reader:
                asked = Asked(reader, organisation_id, NO_TIME, position)
                return asked.events_after(after, kind, unit_id, cycle_id, limit)

        return await self._work(look)

    async def _work(self, look: Callable[[], T]) -> T:
        """What a worker finds; CannotAnswer if the views cannot say."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, look)
        except CannotAnswer:
            raise
        except Exception as error:
            if self._feed.is_outdated:
                log.warning("outdated_views_unreadable", why=repr(error))
                raise CannotAnswer("not_yet", OUTDATED) from error
            if isinstance(error, StoreUnavailable):
                raise CannotAnswer("unreadable_log", str(error)) from error
            raise

    def in_full(self, organisation_id: str, query: Query, expected: type[A], now: datetime) -> A:
        """The whole answer as one page, for who is in this process and does not wait for it.

        Raises CannotAnswer.
        """
        position = self._feed.position
        with reading(self.engine, self._memory, position) as reader:
            asked = Asked(reader, organisation_id, now, position, rests(self._is_closing.wait))
            answer = asked.answer(query, WHOLE)
        if not isinstance(answer, expected):
            raise TypeError(f"{type(query).__name__} was answered by {type(answer).__name__}")
        return answer

    def keep_ahead(self, now: datetime) -> bool:
        """Make some of what whoever asks for everything waits for; False, nothing is left.

        Some tenths of a second's work, unless a cycle is huge; raises StoreUnavailable.
        """
        position = self._feed.position
        with reading(self.engine, self._memory, position) as reader:
            return any(
                Asked(reader, organisation_id, now, position).keep_ahead()
                for organisation_id in reader.organisations()
            )

    async def _wait_for(self, query: Query) -> None:
        # Who names a later position as a moment is told at once; to wait is asked for by name.
        position = max(query.at_least, *map(_position_in, _moments(query)), 0)
        may_wait = position == query.at_least and self._waiting < WAITING_MAX
        self._waiting += 1
        try:
            if await self._feed.reaches(position, AT_LEAST_WAIT_S if may_wait else 0):
                return
        finally:
            self._waiting -= 1
        so_far = f"the views have read the log up to position {self._feed.position}"
        if self._feed.stopped_by is not None:
            raise CannotAnswer(
                "unreadable_log",
                f"{so_far} and cannot go on to {position}: {self._feed.stopped_by}",
            )
        raise CannotAnswer("not_yet", f"{so_far}, not yet {position}: ask again")

    def _answer(self, organisation_id: str, query: Query, now: datetime) -> Answered:
        limit = 1 if isinstance(query, Position) else query.limit
        # Before the connection: views that take over in between reflect at least as much.
        position = self._feed.position
        with reading(self.engine, self._memory, position) as reader:
            asked = Asked(reader, organisation_id, now, position)
            # First: what comes meanwhile may change the answer.
            is_final = not self._feed.is_outdated and asked.is_final(query)
            while True:
                answer = asked.answer(query, limit)
                body = codec.encode(answer)
                if len(body) <= ANSWER_BYTES_MAX or limit == 1:
                    return Answered(
                        body=body,
                        position=_reflected(answer),
                        cursor=getattr(answer, "cursor", None),
                        is_final=is_final,
                        told_at=None if is_final else _told_at(answer),
                    )
                limit = max(limit // 2, 1)


def _read(subject: str, payload: bytes) -> tuple[str, Query]:
    try:
        organisation_id, name = subjects.parse_query(subject)
    except ValueError as error:
        raise CannotAnswer("unknown_query", str(error)) from error
    decoder = _decoders.get(name)
    if decoder is None:
        raise CannotAnswer(
            "unknown_query", f"there is no query {name}: ask one of {', '.join(QUERIES)}"
        )
    try:
        return organisation_id, decoder.decode(payload or b"{}")
    except msgspec.MsgspecError as error:
        raise CannotAnswer("malformed", f"{name} cannot be read: {error}") from error


def _reflected(answer: Answer) -> int:
    """The position an answer tells."""
    match answer:
        case ViewPage() | ViewPosition():
            return answer.position
        case QueryRefused():
            return 0
        case _:
            return answer.reflects.position


def _told_at(answer: Answer) -> datetime | None:
    """The moment an answer is about, where it names one."""
    match answer:
        case ViewPage() | ViewPosition() | QueryRefused():
            return None
        case _:
            return answer.reflects.as_of


def _moments(query: Query) -> tuple[str | None, ...]:
    match query:
        case (
            AsOf()
            | History()
            | Readings()
            | CycleReport()
            | WeeklyDigest()
            | Blame()
            | Alerts()
            | Insights()
            | RollUps()
        ):
            return query.as_of, query.known_at
        case Replay():
            return query.end, query.as_of, query.known_at
        case Diff():
            return query.before, query.before_known_at, query.after, query.after_known_at
        case _:
            return ()


def _position_in(moment: str | None) -> int:
    return int(moment[1:]) if moment is not None and moment.startswith("@") else 0
