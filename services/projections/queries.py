"""The questions one may ask, each answered up to a position, as the contracts say.

An answer about a past moment never changes. A cursor carries the moment with it, so that all pages
of an answer reflect the same one. Long answers are cut by number and, where that is not enough, by
bytes.
"""

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Final, Literal, TypeVar, assert_never

import msgspec
import structlog
from goal_contracts import codec, subjects
from goal_contracts.fields import Kind
from goal_contracts.queries import (
    QUERIES,
    AlertList,
    Alerts,
    Answer,
    AsOf,
    Blame,
    Blamed,
    Changes,
    CommentCard,
    CycleReport,
    Diff,
    Differences,
    Digest,
    Events,
    ExportView,
    Goals,
    History,
    InsightList,
    Insights,
    Moment,
    OrganisationCard,
    Position,
    Query,
    QueryRefused,
    Readings,
    ReadingSeries,
    Replay,
    ReplayedEvent,
    Report,
    RolledUp,
    RollUp,
    RollUps,
    UnitCard,
    ViewPage,
    ViewPosition,
    WeeklyDigest,
)
from msgspec import Raw, Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, and_, or_, select

from services.projections import blame, by_week, digest
from services.projections.alerts import Scope, alerts_of
from services.projections.as_of import (
    NoSuchMoment,
    Picture,
    Vantage,
    position_before,
    present,
    read_moment,
    refuse_inverted,
    vantage,
)
from services.projections.diff import BEGINNING, SECTIONS, Comparison, Place, Side
from services.projections.feed import Feed
from services.projections.insights import Outlook
from services.projections.report import parts_of, told
from services.projections.roll_ups import roll_ups_of, settled
from services.projections.succession import Views
from services.projections.view_store import schema
from services.projections.view_store.change_reader import is_part, of_event_seen
from services.projections.view_store.reader import (
    FIRST,
    POSITION_MAX,
    Connecting,
    Goal,
    Home,
    Key,
    Memory,
    Reader,
    of_units,
    reading,
)
from services.projections.view_store.store import StoreUnavailable
from services.projections.views import standing
from services.projections.views.course import course_of
from services.projections.views.current import CycleState, KpiState, OrganisationState

AT_LEAST_WAIT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 900_000
"""A little less than what a server takes in one message."""
AT_ONCE_MAX: Final = 4
WAITING_MAX: Final = 128
"""So many questions may wait for a position at once: half of what the service takes, so that those
which wait for nothing find room."""
"""Questions worked on at the same time; more of them wait their turn."""

Why = Literal["malformed", "unknown_query", "not_found", "not_yet", "unreadable_log"]
KINDS: Final = ("unit", "cycle", "objective", "key_result", "kpi")
"""The order of the pages of one answer to AsOf."""
SHOWN_WITH: Final = {
    "unit": set(KINDS),
    "cycle": {"cycle", "objective", "key_result"},
    "objective": {"objective", "key_result"},
    "key_result": {"key_result"},
    "kpi": {"kpi"},
}
"""Asked for one thing of a kind, what is shown."""
OBJECTIVES_AT_A_TIME: Final = 100
NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
"""For what does not depend on the clock."""
CURSOR_MOMENT: Final = 4
WHOLE: Final = 2**31
"""A page that holds everything."""
OUTDATED: Final = "an older release's views cannot say; new ones are being built: ask again"
NOT_OUR_CURSOR: Final = "the cursor is not one of ours: ask again without it"

log = structlog.get_logger()

A = TypeVar("A", bound=Answer)
T = TypeVar("T")
_decoders: Final[dict[str, msgspec.json.Decoder[Query]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in QUERIES.items()
}


class CannotAnswer(Exception):
    """A question that gets a refusal: why, and what would be answered."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why: Why = why


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


class EventsAfter(Struct, frozen=True):
    """Events behind a position, and up to where it was looked for them."""

    events: tuple[ReplayedEvent, ...]
    reached: int


class Questions:
    """Answers questions from the views, in threads of its own."""

    def __init__(self, feed: Feed | Views, engine: Connecting) -> None:
        self._feed = feed
        self.engine = engine
        self._workers = ThreadPoolExecutor(AT_ONCE_MAX, thread_name_prefix="questions")
        self._waiting = 0
        self._memory = Memory()

    def close(self) -> None:
        """After the last question was answered."""
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
                asked = _Asked(reader, organisation_id, NO_TIME, position)
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
        """The whole answer as one page, for who is in this process; raises CannotAnswer."""
        position = self._feed.position
        with reading(self.engine, self._memory, position) as reader:
            asked = _Asked(reader, organisation_id, now, position)
            answer = asked.answer(query, WHOLE)
        if not isinstance(answer, expected):
            raise TypeError(f"{type(query).__name__} was answered by {type(answer).__name__}")
        return answer

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
            asked = _Asked(reader, organisation_id, now, position)
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


class _Asked:
    """One organisation's answers, in one worker."""

    def __init__(self, reader: Reader, organisation_id: str, now: datetime, position: int) -> None:
        self._reader = reader
        self._organisation_id = organisation_id
        self._now = now
        self._position = position
        self._organisations: dict[int, OrganisationState | None] = {}
        self._below: dict[tuple[str, int], frozenset[str]] = {}
        self._homes: dict[tuple[str, str], Home | None] = {}

    def answer(self, query: Query, limit: int) -> Answer:
        try:
            match query:
                case AsOf():
                    return self._as_of(query, limit)
                case History():
                    return self._history(query, limit)
                case Readings():
                    return self._readings(query, limit)
                case Replay():
                    return self._replay(query, limit)
                case CycleReport():
                    return self._report(query, limit)
                case WeeklyDigest():
                    return self._digest(query, limit)
                case ExportView():
                    return self._export(query, limit)
                case Diff():
                    return self._diff(query, limit)
                case Blame():
                    return self._blame(query, limit)
                case Position():
                    return ViewPosition(position=self._position, views=tuple(schema.VIEWS))
                case Alerts():
                    return self._alerts(query, limit)
                case Insights():
                    return self._insights(query, limit)
                case RollUps():
                    return self._roll_ups(query, limit)
                case _:
                    assert_never(query)
        except NoSuchMoment as error:
            raise CannotAnswer("malformed", str(error)) from error

    def is_final(self, query: Query) -> bool:
        """Whether nothing that is still to come can change the answer.

        A cursor carries the moment of its first page. A position that was read is over; a date is,
        once the organisation knows something of a later one.
        """
        if getattr(query, "cursor", None) is not None:
            return True
        match query:
            case WeeklyDigest(week=str()):
                return False
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
                until = [query.as_of, query.known_at]
                since = list[Moment | None]()
            case Replay():
                until, since = [query.end, query.as_of, query.known_at], [query.start]
            case Diff():
                until = [query.after, query.after_known_at]
                since = [query.before, query.before_known_at]
            case _:
                return False
        moments = [each for each in (*until, *since) if each is not None]
        return until.count(None) < len(until) and all(map(self._is_over, moments))

    def _is_over(self, text: Moment) -> bool:
        try:
            moment = read_moment(text, self._organisation().zone)
        except NoSuchMoment:
            return False
        if isinstance(moment, int):
            return moment <= self._position
        return self._reader.knows_of_later(self._organisation_id, moment)

    # ------------------------------------------------------------------ as of

    def _as_of(self, query: AsOf, limit: int) -> Goals:
        zone = self._organisation().zone
        first, after = KINDS[0], FIRST
        if query.cursor is None:
            seen = vantage(
                self._reader, self._organisation_id, zone, query.as_of, query.known_at, self._now
            )
        else:
            seen, (first, *key) = _resumed(query.cursor, self._position, 4)
            after = (key[0], key[1], key[2])
            if first not in KINDS:
                raise CannotAnswer("malformed", NOT_OUR_CURSOR)
        filters = _filters(query)
        for kind, goal_id in filters.items():
            self._require(kind, goal_id, seen.known, seen.structure)

        comments = self._comments(query, seen, limit)
        page: dict[str, list[Goal]] = {kind: [] for kind in KINDS}
        cursor = None
        for kind in KINDS[KINDS.index(first) :]:
            goals = list(islice(self._goals(kind, filters, seen, after), limit + 1))
            if len(goals) > limit:
                page[kind] = goals[:limit]
                cursor = _cursor(seen, kind, *(goals[limit - 1].key if limit else after))
                break
            page[kind], after = goals, FIRST
            limit -= len(goals)

        picture = self._picture(seen)
        units = (goal.state for goal in page["unit"])
        return Goals(
            reflects=seen.reflects,
            organisation=None if filters else self._organisation_card(seen),
            units=tuple(unit for unit in units if isinstance(unit, UnitCard)),
            cycles=tuple(picture.cycles(page["cycle"])),
            objectives=tuple(picture.objectives(page["objective"])),
            key_results=tuple(picture.key_results(page["key_result"])),
            kpis=tuple(picture.kpis(page["kpi"])),
            comments=comments,
            cursor=cursor,
        )

    def _comments(self, query: AsOf, seen: Vantage, limit: int) -> tuple[CommentCard, ...]:
        """The last comments on the one goal asked for."""
        if query.goal is None or query.cursor is not None:
            return ()
        kind, _, goal_id = query.goal.partition("/")
        home = self._home_of(kind, goal_id, seen.structure)
        if home is None or not home.has_comments:
            return ()
        rows = self._reader.comments(
            self._organisation_id, kind, goal_id, seen.structure, limit=limit
        )
        return tuple(
            CommentCard(row.actor, row.known_at, msgspec.json.decode(row.now or b'""', type=str))
            for row in rows
        )

    def _goals(
        self, kind: str, filters: dict[str, str], seen: Vantage, after: Key
    ) -> Iterator[Goal]:
        """The things of a kind that all filters let through, in order, after a key."""
        if any(kind not in SHOWN_WITH[each] for each in filters):
            return iter(())
        goal, where = schema.goal.c, []
        match kind:
            case "kpi":
                unit_ids = self._units_below(filters["unit"], seen) if "unit" in filters else None
                return self._reader.kpis(
                    self._organisation_id,
                    seen.known,
                    seen.structure,
                    after=after[2],
                    unit_ids=unit_ids,
                    kpi_ids=[filters["kpi"]] if "kpi" in filters else None,
                )
            case "unit" if "unit" in filters:
                unit_ids = self._units_below(filters["unit"], seen)
                return self._by_id("unit", unit_ids, seen, after)
            case "cycle" if "cycle" in filters:  # with a unit all cycles: they belong to all units
                return self._by_id("cycle", [filters["cycle"]], seen, after)
            case "key_result" if "key_result" in filters:
                found = self._by_id("key_result", [filters["key_result"]], seen, after)
                return (each for each in found if self._lets_through(each, filters, seen))
            case "objective" | "key_result" if filters.keys() & {"unit", "objective"}:
                return self._of_objectives(kind, self._objectives(filters, seen), seen, after)
            case "objective" | "key_result" if "cycle" in filters:
                where = [goal.cycle_id == filters["cycle"]]
        return self._reader.goals(self._organisation_id, kind, seen.structure, *where, after=after)

    def _by_id(
        self, kind: str, goal_ids: Iterable[str], seen: Vantage, after: Key
    ) -> Iterator[Goal]:
        goals = self._reader.goals_by_id(self._organisation_id, kind, seen.structure, goal_ids)
        return (goal for goal in goals if goal.key > after)

    def _lets_through(self, goal: Goal, filters: dict[str, str], seen: Vantage) -> bool:
        if "unit" in filters:
            return (goal.cycle_id, goal.objective_id) in self._objectives(filters, seen)
        return filters.get("cycle", goal.cycle_id) == goal.cycle_id

    def _objectives(self, filters: dict[str, str], seen: Vantage) -> list[tuple[str, str]]:
        """Cycle and id of the objectives that the filters let through, in order."""
        if "unit" in filters:
            found = self._reader.objectives_of_units(
                self._organisation_id, seen.structure, self._units_below(filters["unit"], seen)
            )
        else:
            home = self._home_of("objective", filters["objective"], seen.structure)
            found = [] if home is None else [(home.cycle_id, filters["objective"])]
        return [
            (cycle_id, objective_id)
            for cycle_id, objective_id in found
            if filters.get("cycle", cycle_id) == cycle_id
            and filters.get("objective", objective_id) == objective_id
        ]

    def _of_objectives(
        self, kind: str, objectives: list[tuple[str, str]], seen: Vantage, after: Key
    ) -> Iterator[Goal]:
        """Those objectives, or their key results, in order; some at a time."""
        started = after[:2] if kind == "key_result" else (after[0], after[2])
        rest = objectives[bisect_left(objectives, started) :]
        for start in range(0, len(rest), OBJECTIVES_AT_A_TIME):
            some = rest[start : start + OBJECTIVES_AT_A_TIME]
            if kind == "key_result":
                goals = self._reader.key_results_of(self._organisation_id, some, seen.structure)
            else:
                ids = [objective_id for _, objective_id in some]
                goals = self._reader.goals_by_id(self._organisation_id, kind, seen.structure, ids)
            yield from (goal for goal in goals if goal.key > after)

    def _units_below(self, unit_id: str, seen: Vantage) -> frozenset[str]:
        """A unit and all below it, as the tree stood."""
        key = unit_id, seen.structure
        if key not in self._below:
            self._below[key] = self._tree_below(unit_id, seen)
        return self._below[key]

    def _tree_below(self, unit_id: str, seen: Vantage) -> frozenset[str]:
        children: dict[str, list[str]] = defaultdict(list)
        units = self._reader.goals(self._organisation_id, "unit", seen.structure)
        for goal in units:
            if isinstance(goal.state, UnitCard) and goal.state.parent_id is not None:
                children[goal.state.parent_id].append(goal.goal_id)
        below, waiting = {unit_id}, [unit_id]
        while waiting:
            new = [child for child in children[waiting.pop()] if child not in below]
            below.update(new)
            waiting += new
        return frozenset(below)

    # ------------------------------------------------------------------ the other questions

    def _history(self, query: History, limit: int) -> Changes:
        if query.whole and query.kind != "cycle":
            raise CannotAnswer("malformed", f"whole is asked of a cycle, not of a {query.kind}")
        seen, key = self._moment(query, 2)
        after = (_whole(key[0]), _whole(key[1])) if key else (0, -1)
        self._require(query.kind, query.id, seen.known)
        if query.whole:
            which = self._of_cycle(query.id, seen, self._organisation().zone)
            rows = self._reader.changes.of_events(
                self._organisation_id, which, seen, query.field, after=after, limit=limit + 1
            )
        else:
            thing = self._organisation_id, query.kind, query.id
            rows = self._reader.changes.of_thing(
                *thing, seen, query.field, after=after, limit=limit + 1
            )
        more, rows = len(rows) > limit, rows[:limit]
        return Changes(
            reflects=seen.reflects,
            changes=tuple(map(blame.told, rows)),
            cursor=_cursor(seen, *rows[-1].place) if more else None,
        )

    def _blame(self, query: Blame, limit: int) -> Blamed:
        seen, key = self._moment(query, 1)
        start = max(_whole(key[0]), 0) if key else 0
        self._require(query.kind, query.id, seen.known)
        filters: dict[str, str] = {}
        if query.kind != "organisation":
            filters[query.kind] = query.id
        side = self._side(seen, filters)
        goals = [goal for goal in side.goals(query.kind, FIRST) if goal.goal_id == query.id]
        look = side.look(query.kind, goals)
        rows = blame.behind(self._reader, self._organisation_id, query.kind, [look])
        found = [
            change
            for change in blame.blamed(look, query.id, rows[query.id])
            if query.field is None or is_part(change.field, query.field)
        ]
        return Blamed(
            reflects=seen.reflects,
            fields=tuple(found[start : start + limit]),
            cursor=_cursor(seen, start + limit) if len(found) > start + limit else None,
        )

    def _diff(self, query: Diff, limit: int) -> Differences:
        zone = self._organisation().zone
        if query.cursor is None:
            asked = ((query.before, query.before_known_at), (query.after, query.after_known_at))
            before, after = (
                vantage(self._reader, self._organisation_id, zone, *moment, self._now)
                for moment in asked
            )
            place = BEGINNING
        else:
            parts = query.cursor.split(".")
            before, _ = _resumed(".".join(parts[:CURSOR_MOMENT]), self._position, 0)
            after, key = _resumed(".".join(parts[CURSOR_MOMENT:]), self._position, 4)
            place = _place(key)
        filters = _filters(query)
        for kind, goal_id in filters.items():
            self._require(kind, goal_id, max(before.known, after.known))
        sides = self._side(before, filters), self._side(after, filters)
        told, end = Comparison(self._reader, self._organisation_id, *sides).page(place, limit)
        if end is None:
            return told
        cursor = _cursor(before, _cursor(after, end.section, *end.key))
        return msgspec.structs.replace(told, cursor=cursor)

    def _side(self, seen: Vantage, filters: dict[str, str]) -> Side:
        """What AsOf shows of a moment, as it is wanted."""

        def goals(kind: Kind, after: Key) -> Iterator[Goal]:
            if kind != "organisation":
                return self._goals(kind, filters, seen, after)
            return self._by_id(kind, [] if filters else [self._organisation_id], seen, after)

        where: tuple[ColumnElement[bool], ...] | None = None
        if not filters:
            where = ()
        elif filters.keys() == {"cycle"}:
            where = (schema.goal.c.cycle_id == filters["cycle"],)
        return Side(seen, self._picture(seen), goals, where)

    def _moment(
        self, query: History | Blame | Readings, key_length: int
    ) -> tuple[Vantage, list[str]]:
        """Where a question stands, and the key its cursor goes on from, if it has one."""
        zone = self._organisation().zone
        if query.cursor is not None:
            return _resumed(query.cursor, self._position, key_length)
        times = query.as_of, query.known_at
        return vantage(self._reader, self._organisation_id, zone, *times, self._now), []

    def _readings(self, query: Readings, limit: int) -> ReadingSeries:
        seen, key = self._moment(query, 1)
        start = _whole(key[0]) if key else 0
        found = next(self._goals("kpi", {"kpi": query.kpi}, seen, FIRST), None)
        if found is None or not isinstance(found.state, KpiState):
            raise _not_there("kpi", query.kpi, seen.known)
        rows = self._reader.readings(self._organisation_id, query.kpi, seen.known, seen.as_of)
        # Several sources may speak of a period; what counts is what would count at its end.
        stands = standing.standing(rows)
        counting = {row.period: row.position for row in stands}
        return ReadingSeries(
            reflects=seen.reflects,
            kpi=self._picture(seen).kpi(found.state, rows, stands),
            readings=tuple(
                standing.reading_card(row, counts=counting.get(row.period) == row.position)
                for row in rows[start : start + limit]
            ),
            cursor=_cursor(seen, start + limit) if len(rows) > start + limit else None,
        )

    def _replay(self, query: Replay, limit: int) -> Events:
        zone = self._organisation().zone
        refuse_inverted(query.start, query.end, zone)
        if query.cursor is None:
            seen = self._replayed(query, zone)
            after = 0
            if query.start is not None:
                after = position_before(self._reader, self._organisation_id, zone, query.start)
        else:
            seen, key = _resumed(query.cursor, self._position, 1)
            after = _whole(key[0])
        where = [] if query.cycle is None else [self._of_cycle(query.cycle, seen, zone)]
        if (query.as_of, query.known_at) != (None, None):
            where.append(of_event_seen(seen))
        rows = self._reader.events(
            self._organisation_id, seen.known, *where, after=after, limit=limit + 1
        )
        more, rows = len(rows) > limit, rows[:limit]
        return Events(
            reflects=seen.reflects,
            events=tuple(ReplayedEvent(row.position, Raw(row.payload)) for row in rows),
            cursor=_cursor(seen, rows[-1].position) if more else None,
        )

    def _replayed(self, query: Replay, zone: str) -> Vantage:
        """From where the events are looked at: no further than the end of their range."""
        place = self._reader, self._organisation_id, zone
        if (query.as_of, query.known_at) == (None, None):
            return vantage(*place, query.end, None, self._now)
        seen = vantage(*place, query.as_of, query.known_at, self._now)
        if query.end is None:
            return seen
        end = vantage(*place, query.end, None, self._now).known
        return msgspec.structs.replace(
            seen, known=min(seen.known, end), structure=min(seen.structure, end)
        )

    def events_after(
        self, after: int, kind: str | None, unit_id: str | None, cycle_id: str | None, limit: int
    ) -> EventsAfter:
        """Live events; a unit's are those of its goals as they stand at the event."""
        self._organisation()
        event, reached = schema.event.c, self._position
        where: list[ColumnElement[bool]] = []
        if kind is not None:
            where.append(event.kind == kind)
        if cycle_id is not None:
            self._require("cycle", cycle_id, reached)
            own = and_(event.kind == "cycle", event.goal_id == cycle_id)
            where.append(or_(own, event.cycle_id == cycle_id))
        if unit_id is not None:
            self._require("unit", unit_id, reached)
            seen = present(self._reader, self._organisation_id, self._now)
            where.append(of_units(self._units_below(unit_id, seen)))
        rows = self._reader.events(self._organisation_id, reached, *where, after=after, limit=limit)
        if len(rows) == limit:
            reached = rows[-1].position
        events = tuple(ReplayedEvent(row.position, Raw(row.payload)) for row in rows)
        return EventsAfter(events, reached)

    def _of_cycle(self, cycle_id: str, seen: Vantage, zone: str) -> ColumnElement[bool]:
        """A cycle's own events, those of its goals, and of the KPIs they follow while it runs."""
        self._require("cycle", cycle_id, seen.known)
        event = schema.event.c
        own = event.cycle_id == cycle_id
        states = self._reader.states(self._organisation_id, "cycle", [cycle_id], seen.known)
        kpi_ids = self._reader.linked_kpis(self._organisation_id, cycle_id, seen.known)
        cycle = states.get(cycle_id)
        if not kpi_ids or not isinstance(cycle, CycleState):
            return own
        span = course_of(cycle, self._organisation().policy, zone)
        change = schema.change.c
        followed = select(change.position).where(
            change.organisation_id == self._organisation_id,
            change.kind == "kpi",
            change.goal_id.in_(kpi_ids),
            change.effective_at.between(span.start, span.last),
        )
        return or_(own, event.position.in_(followed))

    def _report(self, query: CycleReport, limit: int) -> Report:
        zone, start = self._organisation().zone, 0
        if query.cursor is None:
            as_of = query.as_of
            if (query.as_of, query.known_at) == (None, None):
                as_of = self._closing(query.cycle)
            seen = vantage(
                self._reader, self._organisation_id, zone, as_of, query.known_at, self._now
            )
        else:
            seen, key = _resumed(query.cursor, self._position, 1)
            start = max(_whole(key[0]), 0)
        goal = next(iter(self._by_id("cycle", [query.cycle], seen, FIRST)), None)
        if goal is None or not isinstance(goal.state, CycleState):
            raise _not_there("cycle", query.cycle, seen.structure)
        parts = parts_of(
            self._reader, self._organisation_id, goal.state, seen, by_week=query.by_week
        )
        end = start + limit
        cursor = _cursor(seen, end) if end < len(parts) else None
        report = told(parts[start:end], goal, self._picture(seen), seen, cursor)
        organisation = self._organisation_at(seen.structure) or self._organisation()
        report = replace(report, organisation=organisation.name, zone=zone)
        if not query.by_week:
            return report
        return by_week.added(
            self._reader,
            self._organisation_id,
            report,
            parts[start:end],
            course_of(goal.state, organisation.policy, zone),
            seen,
            self._picture,
        )

    def _digest(self, query: WeeklyDigest, limit: int) -> Digest:
        organisation, start = self._organisation(), 0
        if query.cursor is None:
            seen = digest.seen_from(
                self._reader, self._organisation_id, organisation.zone, query, self._now
            )
        else:
            seen, key = _resumed(query.cursor, self._position, 1)
            start = max(_whole(key[0]), 0)
        unit_ids = None
        if query.unit is not None:
            self._require("unit", query.unit, seen.structure)
            unit_ids = self._units_below(query.unit, seen)
        then = self._organisation_at(seen.structure) or organisation
        week = digest.week_seen(self._reader, self._organisation_id, then, seen, unit_ids)
        parts = digest.parts_of(self._reader, week)
        end = start + limit
        return digest.told(
            self._reader,
            parts[start:end],
            week,
            self._picture,
            unit_id=query.unit,
            cursor=_cursor(seen, end) if end < len(parts) else None,
        )

    def _closing(self, cycle_id: str) -> Moment | None:
        """The closing of a cycle that is closed."""
        states = self._reader.states(self._organisation_id, "cycle", [cycle_id], POSITION_MAX)
        cycle = states.get(cycle_id)
        if not isinstance(cycle, CycleState) or cycle.card.state != "closed":
            return None
        return f"@{cycle.card.closings[-1].position}"

    def _export(self, query: ExportView, limit: int) -> ViewPage:
        view = schema.VIEWS.get(query.view)
        if view is None:
            raise CannotAnswer(
                "not_found",
                f"there is no view {query.view}: ask for one of {', '.join(schema.VIEWS)}",
            )
        self._organisation()
        position, after = self._position, list[str]()
        if query.cursor is not None:
            first, *after = query.cursor.split(".")
            position = _whole(first)
            _refuse_beyond(self._position, position)
        try:
            exported = self._reader.export(
                view, self._organisation_id, position, after=after, limit=limit + 1
            )
        except (ValueError, OverflowError) as error:
            raise CannotAnswer("malformed", NOT_OUR_CURSOR) from error
        more, exported = len(exported) > limit, exported[:limit]
        return ViewPage(
            position=position,
            rows=tuple(_json(row) for row, _ in exported),
            cursor=".".join((str(position), *exported[-1].key)) if more else None,
        )

    # ------------------------------------------------------------------ alerts and insights

    def _alerts(self, query: Alerts, limit: int) -> AlertList:
        seen, start, scope = self._looked_at(query)
        key = self._organisation_id, seen, scope
        found = self._reader.kept.alerts.get(key)
        if found is None:
            organisation = self._organisation_seen(seen)
            found = alerts_of(self._reader, self._organisation_id, organisation, seen, scope)
        alerts = [alert for alert in found if query.owner in {None, alert.owner}]
        end = start + limit
        if end < len(alerts):  # for the pages to come
            self._reader.kept.alerts.put(key, found)
        return AlertList(
            reflects=seen.reflects,
            alerts=tuple(alerts[start:end]),
            cursor=_cursor(seen, end) if end < len(alerts) else None,
        )

    def _insights(self, query: Insights, limit: int) -> InsightList:
        seen, start, scope = self._looked_at(query)
        outlook = Outlook(
            self._reader, self._organisation_id, self._organisation_seen(seen), seen, scope
        )
        candidates = outlook.candidates()
        end = start + limit
        told = outlook.told(candidates[start:end])
        return replace(told, cursor=_cursor(seen, end) if end < len(candidates) else None)

    def _roll_ups(self, query: RollUps, limit: int) -> RolledUp:
        organisation_id, zone = self._organisation_id, self._organisation().zone
        first, start = "", 0
        if query.cursor is None:
            seen = vantage(
                self._reader, organisation_id, zone, query.as_of, query.known_at, self._now
            )
        else:
            seen, (first, place) = _resumed(query.cursor, self._position, 2)
            start = max(_whole(place), 0)
        filters = {"unit": query.unit, "cycle": query.cycle}
        named = {kind: goal_id for kind, goal_id in filters.items() if goal_id is not None}
        for kind, goal_id in named.items():
            self._require(kind, goal_id, seen.known)
        only = None if query.unit is None else self._units_below(query.unit, seen)
        units = list(self._reader.goals(organisation_id, "unit", seen.structure))
        picture = self._picture(seen)
        cycles: list[Goal] = []
        told: list[RollUp] = []
        cursor = None
        for cycle in self._goals("cycle", named, seen, FIRST):
            if cycle.goal_id < first:
                continue
            found = self._rolled_up(cycle, named, seen, picture, units, only)
            rest = found[start if cycle.goal_id == first else 0 :]
            room = limit - len(told)
            if room < len(rest):
                place_after = len(found) - len(rest) + room
                cursor = _cursor(seen, cycle.goal_id, place_after)
            told += rest[:room]
            cycles += [cycle] if rest[:room] else []
            if cursor is not None:
                break
        named_units = {each.unit_id for each in told}
        return RolledUp(
            reflects=seen.reflects,
            cycles=tuple(picture.cycles(cycles)),
            units=tuple(
                goal.state
                for goal in units
                if goal.goal_id in named_units and isinstance(goal.state, UnitCard)
            ),
            roll_ups=tuple(told),
            cursor=cursor,
        )

    def _rolled_up(
        self,
        cycle: Goal,
        named: dict[str, str],
        seen: Vantage,
        picture: Picture,
        units: list[Goal],
        only: frozenset[str] | None,
    ) -> list[RollUp]:
        """A cycle's roll-ups; those of all units in one that is closed are kept."""
        key = None
        if only is None and isinstance(cycle.state, CycleState):
            organisation = self._organisation_seen(seen)
            course = course_of(cycle.state, organisation.policy, organisation.zone)
            key = settled(self._reader, self._organisation_id, cycle, course, units, seen)
        found = None if key is None else self._reader.kept.roll_ups.get(key)
        if found is None:
            filters = {**named, "cycle": cycle.goal_id}
            objectives = list(self._goals("objective", filters, seen, FIRST))
            found = roll_ups_of(picture, cycle.goal_id, objectives, units, only)
            if key is not None:
                self._reader.kept.roll_ups.put(key, found)
        return found

    def _looked_at(self, query: Alerts | Insights) -> tuple[Vantage, int, Scope]:
        """From where, from which place in the answer on, and what."""
        zone, start = self._organisation().zone, 0
        if query.cursor is None:
            seen = vantage(
                self._reader, self._organisation_id, zone, query.as_of, query.known_at, self._now
            )
        else:
            seen, key = _resumed(query.cursor, self._position, 1)
            start = max(_whole(key[0]), 0)
        for kind, goal_id in (("unit", query.unit), ("cycle", query.cycle)):
            if goal_id is not None:
                self._require(kind, goal_id, seen.known)
        unit_ids = None if query.unit is None else self._units_below(query.unit, seen)
        return seen, start, Scope(unit_ids=unit_ids, cycle_id=query.cycle)

    # ------------------------------------------------------------------ what must be there

    def _organisation(self) -> OrganisationState:
        """As it is now; its zone never changes."""
        state = self._organisation_at(POSITION_MAX)
        if state is None:
            raise CannotAnswer("not_found", f"there is no organisation {self._organisation_id}")
        return state

    def _organisation_at(self, position: int) -> OrganisationState | None:
        if position not in self._organisations:
            states = self._reader.states(
                self._organisation_id, "organisation", [self._organisation_id], position
            )
            state = states.get(self._organisation_id)
            self._organisations[position] = state if isinstance(state, OrganisationState) else None
        return self._organisations[position]

    def _organisation_card(self, seen: Vantage) -> OrganisationCard | None:
        state = self._organisation_at(seen.structure)
        if state is None:
            return None
        return OrganisationCard(self._organisation_id, state.name, state.zone, state.policy)

    def _organisation_seen(self, seen: Vantage) -> OrganisationState:
        """As it was, or as it is now where it was not there yet."""
        return self._organisation_at(seen.structure) or self._organisation()

    def _picture(self, seen: Vantage) -> Picture:
        organisation = self._organisation_seen(seen)
        return Picture(self._reader, self._organisation_id, organisation, seen)

    def _require(self, kind: str, goal_id: str, known: int, structure: int | None = None) -> None:
        """CannotAnswer, unless a thing was there; `structure` is where it will be looked at."""
        home = self._home_of(kind, goal_id, known if structure is None else structure)
        if home is None or home.position > known:
            raise _not_there(kind, goal_id, known)

    def _home_of(self, kind: str, goal_id: str, structure: int) -> Home | None:
        key = kind, goal_id
        if key not in self._homes:
            self._homes[key] = self._reader.home_of(self._organisation_id, *key, structure)
        return self._homes[key]


def _not_there(kind: str, goal_id: str, position: int) -> CannotAnswer:
    return CannotAnswer("not_found", f"there was no {kind} {goal_id} up to position {position}")


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


def _filters(query: AsOf | Diff) -> dict[str, str]:
    """What is asked for, by kind."""
    filters = {"unit": query.unit, "cycle": query.cycle, "kpi": query.kpi}
    if query.goal is not None:
        kind, _, goal_id = query.goal.partition("/")
        filters[kind] = goal_id
    return {kind: goal_id for kind, goal_id in filters.items() if goal_id is not None}


def _cursor(seen: Vantage, *key: str | int) -> str:
    moment = (
        seen.known,
        seen.structure,
        schema.microseconds(seen.as_of),
        schema.microseconds(seen.known_at),
    )
    return ".".join(map(str, (*moment, *key)))


def _resumed(cursor: str, last: int, key_length: int) -> tuple[Vantage, list[str]]:
    """The vantage of the pages before, and the key they ended with."""
    parts = cursor.split(".")
    if len(parts) != CURSOR_MOMENT + key_length:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    known, structure, by, at = map(_whole, parts[:CURSOR_MOMENT])
    try:
        seen = Vantage(known, structure, schema.instant(by), schema.instant(at))
    except OverflowError as error:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR) from error
    if not 0 <= structure <= known:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    _refuse_beyond(last, known)
    return seen, parts[CURSOR_MOMENT:]


def _place(key: Sequence[str]) -> Place:
    """Where the page before ended."""
    section, *rest = key
    if section == BEGINNING.section:
        _whole(rest[0])
    elif section not in SECTIONS:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    return Place(section, (rest[0], rest[1], rest[2]))


def _refuse_beyond(last: int, position: int) -> None:
    """Nobody can have seen more than there is; after a rebuild it may be there a little later."""
    if position > last:
        raise CannotAnswer(
            "not_yet",
            f"the cursor goes on from position {position}, and the views have read the log up to "
            f"{last}: ask again, or without it",
        )


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR) from error
    if abs(number) > POSITION_MAX:
        raise CannotAnswer("malformed", NOT_OUR_CURSOR)
    return number


def _json(row: dict[str, Any]) -> Raw:
    """A row as a JSON object; what is JSON already stays as it is."""
    return Raw(
        codec.encode(
            {key: Raw(value) if isinstance(value, bytes) else value for key, value in row.items()}
        )
    )
